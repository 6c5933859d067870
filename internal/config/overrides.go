package config

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
