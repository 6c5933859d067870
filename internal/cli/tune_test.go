package cli

import (
	"runtime"
	"testing"

	"accountd/internal/config"
)

// TestMemoryLimit: the collector is given room for every hash that may be computed at once and one more.
func TestMemoryLimit(t *testing.T) {
	const own = 66<<20 + 1000*5<<10 + 4<<20
	for _, test := range []struct {
		name string
		env  []string
		want int64
	}{
		{"defaults", nil, own + int64(runtime.GOMAXPROCS(0)+1)*19<<20},
		{"four dear ones", []string{"ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=4", "ACCOUNTD_PASSWORDS_ARGON2_MEMORY=64MiB"}, own + 5*64<<20},
		{"many documents", []string{"ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=1", "ACCOUNTD_LIMITS_DOCUMENTS=3000"}, own + 2000*5<<10 + 2*19<<20},
		{"long answers", []string{"ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=1", "ACCOUNTD_LIMITS_RESPONSE=2MiB"}, own + 4<<20 + 2*19<<20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c, err := config.Load("", test.env, config.Overrides{})
			if err != nil {
				t.Fatal(err)
			}
			if got := memoryLimit(c); got != test.want {
				t.Errorf("%d MiB, want %d", got>>20, test.want>>20)
			}
		})
	}
}
