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

// maxTemplate bounds a template, in bytes. Mail programs truncate shorter messages.
const maxTemplate = 256 << 10

// templateFiles are the valid names of files in Settings.TemplatesDir.
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

// The names of the data of templates, for error messages.
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

// readDir reads the overrides.
func (p *parser) readDir() {
	if p.dir == "" {
		return
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		text := fmt.Sprintf("%v: name a directory in email.templates_dir, or none", reasonOf(err))
		p.problems = append(p.problems, problem{file: p.dir, text: text})
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") { // files of desktops, editors and mounted volumes
			continue
		}
		if !isTemplate(name) {
			otherwise := "files are named KIND.subject, KIND.txt or KIND.html, or " + layoutFile
			p.problem(name, 0, "is no template: "+spelling.Suggest(name, templateFiles, otherwise))
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

// readTemplate reads a regular file. It opens no other, because a pipe may have no end.
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

// reasonOf is the error without the path, which the message has too.
func reasonOf(err error) error {
	if failed, ok := err.(*os.PathError); ok {
		return failed.Err
	}
	return err
}
