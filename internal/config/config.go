// Package config reads accountd's settings: the embedded config.toml has every key with its default; a file,
// ACCOUNTD_* environment variables and flags override it, in that order.
//
// Load reports everything that is wrong at once, each with the place it was set at and a remedy. A Config that
// it returns is within bounds and free of contradictions, so the packages that are given their part of it need
// not check again. Nothing here is a secret: keys live in files of their own.
package config

import (
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

// defaults is a copy of the top-level config.toml: go:embed reads nothing above its own directory.
//
//go:embed config.toml
var defaults []byte

// DefaultFile is read when no file is named, if it is there.
const DefaultFile = "config.toml"

// Config is every setting, decoded into the structs of the packages that use them: a tag is the key in config.toml,
// whose comments are for users. What is derived (see derive.go) is filled in by the methods named like the package.
type Config struct {
	Server   Server
	Log      Log
	HTTP     server.Settings
	Schema   schema.Settings
	Accounts accounts.Settings
	Tokens   tokens.Settings
	Email    email.Settings
	SMTP     email.SMTPSettings

	origins   map[string]string // key → where it was set; absent: the default
	ephemeral bool              // Overrides.Ephemeral
}

// Server is where the server is and where its files are. Config.PublicURL and Config.KeysFile are those in force.
type Server struct {
	Listen         string   `toml:"server.listen"`
	PublicURL      string   `toml:"server.public_url"`
	DataDir        string   `toml:"server.data_dir"`
	AllowedHosts   []string `toml:"server.allowed_hosts"`
	TrustedProxies []string `toml:"server.trusted_proxies"`
	KeysFile       string   `toml:"tokens.keys_file"`

	// Toggles: Config.Introspection, Config.GraphiQL and Config.SchemaSettings say what "auto" comes to.
	Introspection Toggle `toml:"graphql.introspection"`
	GraphiQL      Toggle `toml:"graphql.graphiql"`
	SecureCookies Toggle `toml:"tokens.cookies.secure"`
}

// Log is what goes to standard error.
type Log struct {
	Level  string `toml:"log.level" one:"debug,info,warn,error"`
	Format string `toml:"log.format" one:"auto,text,json"`
}

// Overrides are the settings that commands take as flags; "" is a flag that was not given.
type Overrides struct {
	Listen, PublicURL, DataDir string

	// Ephemeral is a server for tests, over DataDir: on a free port of 127.0.0.1 where Listen names none, by the address it
	// listens on, with keys and spool of its own, no delivery, with hashing as cheap as it gets and no answer that waits for its time, whatever file and environment say.
	// Unless they say otherwise, nobody is throttled: a test suite fails logins, registers and asks for mails at will, and
	// the development server that it goes through may add forwarding headers.
	Ephemeral bool
}

// preset are settings that file and environment go before.
func (o Overrides) preset() []override {
	if !o.Ephemeral {
		return nil
	}
	const name = "--ephemeral"
	preset := []override{{name, "limits.consecutive_failures", "0"}}
	for _, limit := range []string{
		"logins_per_account", "logins_per_ip", "registrations_per_ip", "mails_per_recipient", "mails_per_ip",
	} {
		preset = append(preset, override{name, "limits." + limit, "off"})
	}
	return preset
}

// override is a setting that the command line decides, and by which flag.
type override struct{ name, key, value string }

func (o Overrides) flags() []override {
	var flags []override
	if o.Ephemeral {
		const name = "--ephemeral"
		flags = []override{
			{name, "server.listen", "127.0.0.1:0"}, {name, "server.public_url", ""}, {name, "server.allowed_hosts", ""}, {name, "server.trusted_proxies", ""},
			{name, "tokens.keys_file", ""}, {name, "email.spool_dir", ""}, {name, "email.smtp.host", ""},
			{name, "email.smtp.username", ""}, {name, "email.smtp.password_file", ""},
			{name, "limits.uniform_time", "0s"}, {name, "passwords.argon2.memory", "8KiB"}, {name, "passwords.argon2.iterations", "1"}, {name, "passwords.argon2.parallelism", "1"},
		}
	}
	for _, f := range []override{
		{"--listen", "server.listen", o.Listen}, {"--public-url", "server.public_url", o.PublicURL}, {"--data-dir", "server.data_dir", o.DataDir},
	} {
		if f.value != "" {
			flags = append(flags, f)
		}
	}
	return flags
}

// Load reads the settings in force from the defaults, the file at path, the variables of env (NAME=value, as
// os.Environ has them) and flags; the later wins. With path "", DefaultFile is read if it exists. What is wrong
// with the settings themselves comes back as Problems, all of it at once.
func Load(path string, env []string, flags Overrides) (*Config, error) {
	doc, path, err := read(path)
	if err != nil {
		return nil, err
	}
	c := &Config{origins: map[string]string{}, ephemeral: flags.Ephemeral}
	l := loader{config: c, bad: map[string]bool{}}
	if l.file("", defaults); len(l.problems) > 0 {
		panic(fmt.Sprintf("the embedded config.toml: %v", l.problems))
	}
	builtIn := *c
	l.defaults = &builtIn
	for _, p := range flags.preset() {
		l.text(settings[p.key], p.name, p.value)
	}
	l.file(path, doc)
	l.environment(env)
	for _, f := range flags.flags() {
		l.text(settings[f.key], f.name, f.value)
	}
	l.validate()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return c, nil
}

// read returns the file at path and the name for messages; nothing where none was named and there is none.
func read(path string) ([]byte, string, error) {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	doc, err := os.ReadFile(path)
	switch {
	case err == nil:
		return doc, path, nil
	case !named && errors.Is(err, fs.ErrNotExist):
		return nil, path, nil
	default:
		return nil, path, fmt.Errorf("read settings: %w", err)
	}
}

// loader collects what the sources say and what is wrong with it.
type loader struct {
	config   *Config
	defaults *Config // once they are loaded
	problems Problems
	bad      map[string]bool // keys with a problem: their value is not the intended one
}

// set decodes and stores one setting. It leaves the former value where the new one is out of bounds.
func (l *loader) set(s setting, origin, shown string, raw any) {
	value := reflect.New(s.as).Elem()
	err := decode(value, raw)
	if err == nil {
		err = s.check(value)
	}
	if err != nil {
		l.refuse(s, origin, shown, err)
		return
	}
	s.store(l.config, value)
	delete(l.bad, s.key)
	if origin != "" {
		l.config.origins[s.key] = origin
	}
}

// refuse reports what is wrong with a value: of a table, with each of its items.
func (l *loader) refuse(s setting, origin, shown string, err error) {
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

// text sets what a variable or a flag says.
func (l *loader) text(s setting, origin, text string) {
	raw, err := s.fromText(text)
	if err != nil {
		l.refuse(s, origin, quote(text), err)
		return
	}
	l.set(s, origin, quote(text), raw)
}

func (l *loader) problem(p Problem) {
	p.Value = conceal(p)
	l.problems = append(l.problems, p)
	l.bad[p.Key] = true
}

// environment applies ACCOUNTD_* in the order of the names. Of one that comes twice the last counts.
func (l *loader) environment(env []string) {
	values := map[string]string{}
	for _, variable := range env {
		name, value, ok := strings.Cut(variable, "=")
		if ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	for _, name := range sortedKeys(values) {
		i := slices.IndexFunc(order, func(s setting) bool { return s.env == name })
		if i < 0 {
			var names []string
			for _, s := range order {
				names = append(names, s.env)
			}
			l.problem(Problem{Origin: "environment", Key: name, Value: quote(values[name]),
				Message: "is no setting", Remedy: spelling.Suggest(name, names, "unset it")})
			continue
		}
		l.text(order[i], name, values[name])
	}
}
