package email

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"accountd/internal/spelling"
)

// maxTemplate is in bytes: mail programs cut messages off long before.
const maxTemplate = 256 << 10

// templateFiles are the names that files in Settings.TemplatesDir may have.
var templateFiles = func() []string {
	names := []string{layoutFile}
	for _, kind := range kinds {
		for _, ending := range []string{".subject", ".txt", ".html"} {
			names = append(names, string(kind)+ending)
		}
	}
	return names
}()

func isTemplate(name string) bool { return slices.Contains(templateFiles, name) }

// What templates can ask for, for messages.
var (
	variables     = fieldNames(reflect.TypeFor[content]())
	userVariables = fieldNames(reflect.TypeFor[User]())
)

func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, t.Field(i).Name)
	}
	return names
}

func (p *parser) path(name string) string { return filepath.Join(p.dir, name) }

// readDir reads the overrides, where there is a directory of them.
func (p *parser) readDir() {
	if p.dir == "" {
		return
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.problems = append(p.problems, problem{file: p.dir, text: fmt.Sprintf("%v: name a directory in email.templates_dir, or none", reasonOf(err))})
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") { // what desktops, editors and mounted volumes leave
			continue
		}
		if !isTemplate(name) {
			p.problem(name, 0, "is no template: "+spelling.Suggest(name, templateFiles, "files are named KIND.subject, KIND.txt or KIND.html, or "+layoutFile))
			continue
		}
		text, err := readTemplate(p.path(name))
		if err != nil {
			p.problems = append(p.problems, problem{file: p.path(name), text: err.Error()})
			continue
		}
		p.files[name] = text
	}
}

// readTemplate reads one file. It does not open what is no file: a pipe would not end.
func readTemplate(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", reasonOf(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("is no file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", reasonOf(err))
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxTemplate+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", reasonOf(err))
	case len(raw) > maxTemplate:
		return "", fmt.Errorf("is larger than %d KiB", maxTemplate>>10)
	case !utf8.Valid(raw) || strings.ContainsRune(string(raw), 0):
		return "", fmt.Errorf("is not UTF-8 text: save it as UTF-8")
	}
	return strings.TrimPrefix(string(raw), "\ufeff"), nil
}

// reasonOf is the error without the path, which the message has already.
func reasonOf(err error) error {
	if failed, ok := err.(*os.PathError); ok {
		return failed.Err
	}
	return err
}
