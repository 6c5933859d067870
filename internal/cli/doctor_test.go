//go:build unix

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDoctor: doctor reports a sound directory, and then each possible problem with its remedy. It changes nothing.
func TestDoctor(t *testing.T) {
	w := newWorld(t)
	w.fails(exitFailure, "accountd: no data directory here: stat PATH/data: no such file or directory: name the "+
		"server's with --data-dir\n", "doctor")
	w.addUser("ada")
	w.ok("backup")
	w.write("data/backups/.accountd-backup-X-journal", "") // of a backup that is being made
	out := w.ok("doctor")
	for _, want := range []string{
		"ok       addresses: users see http://127.0.0.1:8080, the server listens on 127.0.0.1:8080\n",
		"ok       permissions: ", "ok       key ring: ", "accountd.db is sound: 1 accounts, schema ",
		"ok       backups: the newest is " + w.dir + "/data/backups/accountd-20270115T080000.000Z.db of ",
		"ok       outbox: 0 mails", "ok       spool: 0 mails", "ok       free space: "} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q, want it in\n%s", want, out)
		}
	}
	for line := range strings.Lines(w.ok("doctor", "--json")) {
		var f struct {
			Subject, Text, Remedy string
			OK                    bool
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Subject == "" || f.Text == "" || !f.OK ||
			f.Remedy != "" {
			t.Errorf("got %q, %v, want a finding without a problem", line, err)
		}
	}

	db, err := os.ReadFile(w.path("data/accountd.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func() error
		want  string // what is found, and the beginning of the remedy
	}{
		{"an open file", func() error { return os.Chmod(w.path("data/accountd.db"), 0o640) },
			"accountd.db is open to others (mode 0640)\n         chmod 600 "},
		{"an open folder", func() error { return os.Chmod(w.path("data/backups"), 0o755) },
			"backups is open to others (mode 0755)\n         chmod 700 "},
		{"an open key ring", func() error { return os.Chmod(w.path("data/keys.json"), 0o644) },
			"key ring: key file " + w.dir + "/data/keys.json has mode 0644: others can read it"},
		{"no key ring", func() error { return os.Rename(w.path("data/keys.json"), w.path("keys.json")) },
			"keys.json is not there\n         copy it back"},
		{"a damaged database", func() error {
			broken := strings.Replace(string(db), "ada@example.com", "ADA@EXAMPLE.COM", 1)
			return os.WriteFile(w.path("data/accountd.db"), []byte(broken), 0o600)
		}, "keep a copy of "},
		{"an empty database", func() error { return os.Truncate(w.path("data/accountd.db"), 0) },
			"it is damaged (it is empty)"},
		{"no database", func() error { return os.Remove(w.path("data/accountd.db")) },
			"accountd.db: no such file or directory\n         the newest backup is " + w.dir + "/data/backups/"},
		{"an interrupted restore", func() error { return os.WriteFile(w.path("data/accountd.db.replace"), nil, 0o600) },
			"a restore was interrupted\n         start the server"},
		{"a mail that was given up",
			func() error { return os.WriteFile(w.path("data/spool/failed/x.eml"), nil, 0o600) },
			"1 mails were given up\n         accountd mail list"},
		{"no spool", func() error { return os.RemoveAll(w.path("data/spool")) },
			"tmp is not there\n         the server makes it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.CopyFS(w.path("saved"), os.DirFS(w.path("data"))); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := w.run("doctor")
			if code != exitFailure || !strings.Contains(stdout, "PROBLEM  ") || !strings.Contains(stdout, c.want) ||
				!strings.Contains(stderr, "found a problem") {
				t.Errorf("exits %d\n%s%s\nwant %q", code, stdout, stderr, c.want)
			}
			if err := os.RemoveAll(w.path("data")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(w.path("saved"), w.path("data")); err != nil {
				t.Fatal(err)
			}
			private(t, w.path("data"))
		})
	}
}

// TestDoctorAddresses: a server that users cannot reach as it is set, and one whose limits do not see its users.
func TestDoctorAddresses(t *testing.T) {
	w := newWorld(t)
	w.addUser("ada")
	before := w.environ
	for settings, want := range map[string]string{
		"ACCOUNTD_EMAIL_LINK_BASE=https://app.example": "PROBLEM  addresses: server.public_url is missing, " +
			"while other settings are for users elsewhere (email.link_base)\n         set it to ",
		"ACCOUNTD_SERVER_LISTEN=0.0.0.0:8080 ACCOUNTD_SERVER_PUBLIC_URL=http://localhost:8080": "ok       addresses: " +
			"users see http://localhost:8080, the server listens on 0.0.0.0:8080",
		"ACCOUNTD_SERVER_PUBLIC_URL=https://a.example": "PROBLEM  addresses: server.trusted_proxies does not have " +
			"127.0.0.1, " +
			"where every request comes from: limits per network may not hold, and cannot tell users apart\n         " +
			"set server.",
		"ACCOUNTD_SERVER_PUBLIC_URL=https://a.example ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.1": "" +
			"ok       addresses: users see ",
	} {
		w.environ = slices.Concat(before, strings.Fields(settings))
		if _, out, _ := w.run("doctor"); !strings.Contains(out, want) {
			t.Errorf("%s: %s\nwant %s", settings, out, want)
		}
	}
}

// private makes a tree its owner's only, as it was before it was copied.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
}
