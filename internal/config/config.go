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
)

//go:generate go test -run "^Test(TopLevelFile|Documentation)$" -update .

// defaults is a copy of the top-level config.toml: go:embed reads nothing above its own directory.
//
//go:embed config.toml
var defaults []byte

// DefaultFile is read when no file is named, if it is there.
const DefaultFile = "config.toml"

// Config is every setting. The comments on the settings are in config.toml; the tags say which values are
// possible (min, max, one; sizes and durations as in the file).
type Config struct {
	Server    Server    `toml:"server"`
	Log       Log       `toml:"log"`
	GraphQL   GraphQL   `toml:"graphql"`
	Limits    Limits    `toml:"limits"`
	Accounts  Accounts  `toml:"accounts"`
	Queries   Queries   `toml:"queries"`
	Tokens    Tokens    `toml:"tokens"`
	Passwords Passwords `toml:"passwords"`
	Email     Email     `toml:"email"`

	origins   map[string]string // key → where it was set; absent: the default
	ephemeral bool              // Overrides.Ephemeral
}

// Server is [server]. PublicURL is as it was set: Config.PublicURL is the one in force.
type Server struct {
	Listen         string   `toml:"listen"`
	PublicURL      string   `toml:"public_url"`
	DataDir        string   `toml:"data_dir"`
	AllowedHosts   []string `toml:"allowed_hosts"`
	TrustedProxies []string `toml:"trusted_proxies"`
	CORSOrigins    []string `toml:"cors_origins"`
}

// Log is [log].
type Log struct {
	Level  string `toml:"level" one:"debug,info,warn,error"`
	Format string `toml:"format" one:"auto,text,json"`
}

// GraphQL is [graphql]. Config.Introspection and Config.GraphiQL say what "auto" comes to.
type GraphQL struct {
	Introspection Toggle `toml:"introspection"`
	GraphiQL      Toggle `toml:"graphiql"`
	ErrorShape    string `toml:"error_shape" one:"map,list"`
}

// Limits is [limits]. Fields has its upper bound because validating n equal fields takes time in n².
type Limits struct {
	Body               Size     `toml:"body" min:"256B" max:"16MiB"`
	Query              Size     `toml:"query" min:"64B" max:"1MiB"`
	Tokens             int      `toml:"tokens" min:"1" max:"100000"`
	Nesting            int      `toml:"nesting" min:"1" max:"500"`
	Fields             int      `toml:"fields" min:"1" max:"2000"`
	Aliases            int      `toml:"aliases" min:"0" max:"2000"`
	Depth              int      `toml:"depth" min:"1" max:"500"`
	IntrospectionDepth int      `toml:"introspection_depth" min:"1" max:"500"`
	Fragments          int      `toml:"fragments" min:"0" max:"1000"`
	Variables          int      `toml:"variables" min:"0" max:"1000"`
	Directives         int      `toml:"directives" min:"0" max:"1000"`
	Errors             int      `toml:"errors" min:"1" max:"1000"`
	Response           Size     `toml:"response" min:"1KiB" max:"64MiB"`
	Timeout            Duration `toml:"timeout" min:"100ms" max:"10m"`
	Documents          int      `toml:"documents" min:"1" max:"100000"`
	Page               int      `toml:"page" min:"1" max:"10000"`
	UniformTime        Duration `toml:"uniform_time" min:"0s" max:"5s"`
	SessionsPerUser    int      `toml:"sessions_per_user" min:"1" max:"10000"`
	Connections        int      `toml:"connections" min:"10" max:"1000000"`

	LoginsPerAccount    Rates `toml:"logins_per_account"`
	ConsecutiveFailures int   `toml:"consecutive_failures" min:"0" max:"1000000"`
	LoginsPerIP         Rates `toml:"logins_per_ip"`
	RegistrationsPerIP  Rates `toml:"registrations_per_ip"`
	MailsPerRecipient   Rates `toml:"mails_per_recipient"`
	MailsPerIP          Rates `toml:"mails_per_ip"`
	ThrottleKeys        int   `toml:"throttle_keys" min:"100" max:"10000000"`
}

// Accounts is [accounts].
type Accounts struct {
	AllowLoginNotVerified    bool     `toml:"allow_login_not_verified"`
	LoginFields              []string `toml:"login_fields"`
	LoginWithSecondaryEmail  bool     `toml:"login_with_secondary_email"`
	RegisterFields           []string `toml:"register_fields"`
	RegisterOptionalFields   []string `toml:"register_optional_fields"`
	UpdateFields             []string `toml:"update_fields"`
	Fields                   []Field  `toml:"fields"`
	PasswordlessRegistration bool     `toml:"passwordless_registration"`
	SendActivationEmail      bool     `toml:"send_activation_email"`
	SendPasswordSetEmail     bool     `toml:"send_password_set_email"`
	RevealAccounts           string   `toml:"reveal_accounts" one:"nothing,register,all"`
	DeletePermanently        bool     `toml:"delete_permanently"`
	PurgeUnverified          Duration `toml:"purge_unverified" min:"0s" max:"3650d"`
}

// Field is one table of [[accounts.fields]]: a further field of every account.
type Field struct {
	Name      string `toml:"name"`
	Type      string `toml:"type"`       // String, Int, Float, Boolean or DateTime
	MaxLength int    `toml:"max_length"` // of a String, in characters; 0: not given
	Pattern   string `toml:"pattern"`    // that a whole String has to match; "": any
	Choices   []any  `toml:"choices"`    // string, int64 or float64, as Type has it; none: any value
	Unique    bool   `toml:"unique"`
	Public    bool   `toml:"public"` // shown in UserNode and to templates; true where it is not given
}

// Queries is [queries].
type Queries struct {
	Users         string              `toml:"users" one:"staff,verified,authenticated,public"`
	ExcludeFields []string            `toml:"exclude_fields"`
	FilterFields  map[string][]string `toml:"filter_fields"`
}

// Tokens is [tokens]. Config.TokenSettings and Config.KeysFile fill in what is derived.
type Tokens struct {
	Algorithm              string   `toml:"algorithm" one:"HS256,HS384,HS512,EdDSA,ES256,RS256"`
	Issuer                 string   `toml:"issuer"`
	Audience               string   `toml:"audience"`
	Leeway                 Duration `toml:"leeway" min:"0s" max:"60s"`
	AccessLifetime         Duration `toml:"access_lifetime" min:"1s" max:"365d"`
	AllowRefresh           bool     `toml:"allow_refresh"`
	LongRunning            bool     `toml:"long_running"`
	RefreshLifetime        Duration `toml:"refresh_lifetime" min:"1s" max:"3650d"`
	SessionLifetime        Duration `toml:"session_lifetime" min:"0s" max:"3650d"`
	Rotation               string   `toml:"rotation" one:"rotate,keep"`
	RotationGrace          Duration `toml:"rotation_grace" min:"0s" max:"1h"`
	RefreshBytes           int      `toml:"refresh_bytes" min:"16" max:"64"`
	HeaderName             string   `toml:"header_name"`
	HeaderPrefixes         []string `toml:"header_prefixes"`
	AllowArgument          bool     `toml:"allow_argument"`
	ArgumentName           string   `toml:"argument_name"`
	ActivationLifetime     Duration `toml:"activation_lifetime" min:"1s" max:"365d"`
	PasswordResetLifetime  Duration `toml:"password_reset_lifetime" min:"1s" max:"365d"`
	PasswordSetLifetime    Duration `toml:"password_set_lifetime" min:"1s" max:"365d"`
	SecondaryEmailLifetime Duration `toml:"secondary_email_lifetime" min:"1s" max:"365d"`
	KeysFile               string   `toml:"keys_file"`
	Cookies                Cookies  `toml:"cookies"`
}

// Cookies is [tokens.cookies]. Config.CookieSettings fills in what is derived.
type Cookies struct {
	Enabled         bool   `toml:"enabled"`
	Name            string `toml:"name"`
	RefreshName     string `toml:"refresh_name"`
	Secure          Toggle `toml:"secure"`
	Path            string `toml:"path"`
	Domain          string `toml:"domain"`
	SameSite        string `toml:"same_site" one:"Lax,Strict,None"`
	HideTokenFields bool   `toml:"hide_token_fields"`
}

// Passwords is [passwords].
type Passwords struct {
	MinLength  int     `toml:"min_length" min:"1" max:"256"`
	Similarity float64 `toml:"similarity" min:"0" max:"1"`
	Common     bool    `toml:"common"`
	Numeric    bool    `toml:"numeric"`
	MaxBytes   int     `toml:"max_bytes" min:"64" max:"16384"`
	Argon2     Argon2  `toml:"argon2"`
}

// Argon2 is [passwords.argon2].
type Argon2 struct {
	Memory      Size `toml:"memory" min:"8KiB" max:"4GiB"`
	Iterations  int  `toml:"iterations" min:"1" max:"100"`
	Parallelism int  `toml:"parallelism" min:"1" max:"64"`
	Concurrent  int  `toml:"concurrent" min:"0" max:"1024"`
	Queue       int  `toml:"queue" min:"0" max:"100000"`
}

// Email is [email]. Config.EmailSettings fills in what is derived.
type Email struct {
	From               string `toml:"from"`
	SiteName           string `toml:"site_name"`
	LinkBase           string `toml:"link_base"`
	ActivationPath     string `toml:"activation_path"`
	SecondaryEmailPath string `toml:"secondary_email_path"`
	PasswordResetPath  string `toml:"password_reset_path"`
	PasswordSetPath    string `toml:"password_set_path"`
	SpoolDir           string `toml:"spool_dir"`
	MaxOutbox          int    `toml:"max_outbox" min:"1" max:"1000000"`
	Notices            bool   `toml:"notices"`
	TemplatesDir       string `toml:"templates_dir"`

	Variables map[string]string `toml:"variables"`

	SMTP SMTP `toml:"smtp"`
}

// SMTP is [email.smtp]. Config.SMTPSettings fills in what is derived.
type SMTP struct {
	Host         string `toml:"host"`
	Port         int    `toml:"port" min:"0" max:"65535"`
	Username     string `toml:"username"`
	PasswordFile string `toml:"password_file"`
	TLS          string `toml:"tls" one:"starttls,implicit,none"`
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

// set stores one decoded setting. It leaves the former value where the new one is out of bounds.
func (l *loader) set(s setting, origin string, shown string, decode func(reflect.Value) error) {
	value := reflect.New(s.typ).Elem()
	err := decode(value)
	if err == nil {
		err = s.check(value)
	}
	if err != nil {
		all := []error{err}
		if several, ok := err.(interface{ Unwrap() []error }); ok { // a table, with each of its items
			all = several.Unwrap()
		}
		for _, err := range all {
			l.problem(Problem{Origin: origin, Key: s.key, Value: shown, Message: err.Error(), Remedy: s.remedy()})
		}
		return
	}
	s.in(l.config).Set(value)
	delete(l.bad, s.key)
	if origin != "" {
		l.config.origins[s.key] = origin
	}
}

func (l *loader) text(s setting, origin, text string) {
	l.set(s, origin, quote(text), func(v reflect.Value) error { return decodeText(v, text) })
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
			l.problem(Problem{Origin: "environment", Key: name, Value: quote(values[name]),
				Message: "is no setting", Remedy: suggest(name, envNames(), "unset it")})
			continue
		}
		l.text(order[i], name, values[name])
	}
}
