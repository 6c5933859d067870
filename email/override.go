package email

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
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
		subject, text, html := kind.files()
		names = append(names, subject, text, html)
	}
	return names
}()

// The names of the data of templates, for error messages.
var (
	variables     = fieldNames(reflect.TypeFor[content]())
	userVariables = fieldNames(reflect.TypeFor[User]())
)

func fieldNames(t reflect.Type) (names []string) {
	for field := range t.Fields() {
		names = append(names, field.Name)
	}
	return names
}

// readDir reads the overrides.
func (p *parser) readDir() {
	if p.dir == "" {
		return
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.problem(p.dir, fmt.Sprintf("%v: name a directory in email.templates_dir, or none", withoutPath(err)))
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		path := filepath.Join(p.dir, name)
		if strings.HasPrefix(name, ".") { // files of desktops, editors and mounted volumes
			continue
		}
		if !slices.Contains(templateFiles, name) {
			otherwise := "files are named KIND.subject, KIND.txt or KIND.html, or " + layoutFile
			p.problem(path, "is no template: "+spelling.Suggest(name, templateFiles, otherwise))
		} else if text, err := readTemplate(path); err != nil {
			p.problem(path, err.Error())
		} else {
			p.files[name] = text
		}
	}
}

// readTemplate reads an override.
func readTemplate(path string) (string, error) {
	raw, err := readRegular(path, os.Stat, maxTemplate)
	switch {
	case errors.Is(err, errForeign):
		return "", errors.New("is no file")
	case errors.Is(err, errTooLarge):
		return "", fmt.Errorf("is larger than %d KiB", maxTemplate>>10)
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", withoutPath(err))
	case !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0:
		return "", errors.New("is not UTF-8 text: save it as UTF-8")
	}
	return strings.TrimPrefix(string(raw), "\ufeff"), nil
}

// withoutPath is the error without its path, which the message has too.
func withoutPath(err error) error { return cmp.Or(errors.Unwrap(err), err) }
