// Package config reads the settings of accountd. The embedded config.toml has every key with its default. A file,
// ACCOUNTD_* environment variables and flags override it, in that order.
//
// A setting is declared by a tag on the field of the package that uses it, such as tokens.Settings, and is decoded into
// that field. This package adds what depends on several settings: derived values, contradictions and warnings.
//
// [Load] reports all problems at once, each with the place where the value was set and a remedy. The values of a
// [Config] are within their bounds and do not contradict each other, so other packages need not check them again.
// Settings are no secrets: keys and passwords are in files of their own.
package config

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/server"
	"accountd/internal/spelling"
	"accountd/schema"
	"accountd/tokens"
)

//go:generate go test -run "^Test(TopLevelFile|Documentation)$" -update .

// defaults is a copy of the top-level config.toml, which go:embed cannot read from here.
//
//go:embed config.toml
var defaults []byte

// DefaultFile is read if it exists and no other file is named.
const DefaultFile = "config.toml"

// Config has every setting as it was set, in the structs of the packages that use them. Derived values are filled in by
// methods: TokenSettings, EmailSettings, SMTPSettings, SchemaSettings and ServerSettings.
type Config struct {
	Server   Server
	Log      Log
	HTTP     server.Settings
	Schema   schema.Settings
	Accounts accounts.Settings
	Tokens   tokens.Settings
	Email    email.Settings
	SMTP     email.SMTPSettings

	origins   map[string]string // place where a key was set; "" for a default
	ephemeral bool              // Overrides.Ephemeral
}

// Server has the settings that others are derived from. PublicURL "", KeysFile "" and Auto stand for derived values.
type Server struct {
	Listen         string   `toml:"server.listen"`
	PublicURL      string   `toml:"server.public_url"`
	DataDir        string   `toml:"server.data_dir"`
	AllowedHosts   []string `toml:"server.allowed_hosts"`
	TrustedProxies []string `toml:"server.trusted_proxies"`
	KeysFile       string   `toml:"tokens.keys_file"`

	Introspection Toggle `toml:"graphql.introspection"`
	GraphiQL      Toggle `toml:"graphql.graphiql"`
	SecureCookies Toggle `toml:"tokens.cookies.secure"`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `toml:"log.level" one:"debug,info,warn,error"`
	Format string `toml:"log.format" one:"auto,text,json"`
}

// Load reads the settings from the defaults, the file at path, the variables of env (NAME=value, as in os.Environ) and
// flags. Later sources have precedence. With path "", DefaultFile is read if it exists. Load returns Problems if values
// are wrong, and another error if the file cannot be read.
func Load(path string, env []string, flags Overrides) (*Config, error) {
	named := path != ""
	path = cmp.Or(path, DefaultFile)
	doc, err := os.ReadFile(path)
	if err != nil && (named || !errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	c := &Config{origins: map[string]string{}, ephemeral: flags.Ephemeral}
	l := loader{config: c, bad: map[string]bool{}}
	if l.file("", defaults); len(l.problems) > 0 {
		panic(fmt.Sprintf("the embedded config.toml: %v", l.problems))
	}
	l.defaults = new(*c)
	if flags.Ephemeral {
		l.ephemeral(ephemeralDefaults)
	}
	l.file(path, doc)
	l.environment(env)
	if flags.Ephemeral {
		l.ephemeral(ephemeralFixed)
	}
	l.flags(flags)
	l.validate()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return c, nil
}

// loader collects settings and problems.
type loader struct {
	config   *Config
	defaults *Config // nil until they are loaded
	problems Problems
	bad      map[string]bool // keys with a problem, whose value in config is not the intended one
}

// set decodes, checks and stores one setting. A wrong value is reported and not stored. A table has an error for each
// wrong item.
func (l *loader) set(s setting, origin, shown string, decode func(reflect.Value) error) {
	value := reflect.New(s.as).Elem()
	err := decode(value)
	if err == nil {
		err = s.check(value)
	}
	if err == nil {
		s.store(l.config, value)
		delete(l.bad, s.key)
		l.config.origins[s.key] = origin
		return
	}
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	for _, err := range all {
		remedy := s.remedy()
		if own, ok := errors.AsType[*refusal](err); ok {
			remedy = own.remedy
		}
		l.problem(Problem{Origin: origin, Key: s.key, Value: shown, Message: err.Error(), Remedy: remedy})
	}
}

// text sets a setting from the text of a variable or a flag.
func (l *loader) text(s setting, origin, text string) {
	l.set(s, origin, quote(text), func(v reflect.Value) error { return decodeText(v, text) })
}

func (l *loader) problem(p Problem) {
	p.Value = conceal(p)
	l.problems = append(l.problems, p)
	l.bad[p.Key] = true
}

// environment sets the variables ACCOUNTD_* in the order of their names. The last of several with one name counts.
func (l *loader) environment(env []string) {
	values := map[string]string{}
	for _, variable := range env {
		name, value, ok := strings.Cut(variable, "=")
		if ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	names := make([]string, len(order))
	for i, s := range order {
		names[i] = s.env
	}
	for _, name := range sortedKeys(values) {
		if i := slices.Index(names, name); i >= 0 {
			l.text(order[i], name, values[name])
			continue
		}
		l.problem(Problem{Origin: "environment", Key: name, Value: quote(values[name]),
			Message: "is no setting", Remedy: spelling.Suggest(name, names, "unset it")})
	}
}

// Overrides are the settings that commands take as flags. "" is a flag that was not given.
type Overrides struct {
	Listen, PublicURL, DataDir string

	// Ephemeral makes a server for tests over DataDir. It listens on 127.0.0.1, by default on a free port. Key ring and
	// spool are in DataDir, mails are not delivered, hashing is cheap and responses are not delayed, whatever file and
	// environment say. Rate limits are off, unless file or environment set them: a test suite fails logins, registers
	// and requests mails at will.
	Ephemeral bool
}

// ephemeralDefaults are set before file and environment, ephemeralFixed after them.
var (
	ephemeralDefaults = [][2]string{
		{"limits.logins_per_account", "off"},
		{"limits.consecutive_failures", "0"},
		{"limits.logins_per_ip", "off"},
		{"limits.registrations_per_ip", "off"},
		{"limits.mails_per_recipient", "off"},
		{"limits.mails_per_ip", "off"},
	}
	ephemeralFixed = [][2]string{
		{"server.listen", "127.0.0.1:0"},
		{"server.public_url", ""},
		{"server.allowed_hosts", ""},
		{"server.trusted_proxies", ""},
		{"tokens.keys_file", ""},
		{"email.spool_dir", ""},
		{"email.smtp.host", ""},
		{"email.smtp.username", ""},
		{"email.smtp.password_file", ""},
		{"limits.uniform_time", "0s"},
		{"passwords.argon2.memory", "8KiB"},
		{"passwords.argon2.iterations", "1"},
		{"passwords.argon2.parallelism", "1"},
	}
)

func (l *loader) ephemeral(pairs [][2]string) {
	for _, pair := range pairs {
		l.text(settings[pair[0]], "--ephemeral", pair[1])
	}
}

func (l *loader) flags(o Overrides) {
	for _, flag := range [][3]string{
		{"--listen", "server.listen", o.Listen},
		{"--public-url", "server.public_url", o.PublicURL},
		{"--data-dir", "server.data_dir", o.DataDir},
	} {
		if flag[2] != "" {
			l.text(settings[flag[1]], flag[0], flag[2])
		}
	}
}
