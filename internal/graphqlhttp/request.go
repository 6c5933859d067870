package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"accountd/internal/jsontext"
)

// request is the parameters of a GraphQL request.
type request struct {
	query     string
	operation string
	variables map[string]any // numbers are json.Number
}

// readBody reads the body of a POST into buf. It takes only JSON: a form could be sent by any page that a browser
// shows.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) *refusal {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, encoding := params["charset"], r.Header.Get("Content-Encoding")
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") ||
		encoding != "" && !strings.EqualFold(encoding, "identity") {
		return refuseHTTP(http.StatusUnsupportedMediaType, CodeWrongUsage,
			"The body has to be JSON in UTF-8, not compressed, with Content-Type: application/json.")
	}
	_, err = buf.ReadFrom(http.MaxBytesReader(w, r.Body, int64(h.settings.Limits.Body)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuseHTTP(http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("The body has more than %d bytes.", h.settings.Limits.Body))
	case err != nil:
		return refuseHTTP(http.StatusBadRequest, CodeSyntax, "The body did not arrive whole.")
	}
	return nil
}

// params are the parameters of a request as decoded JSON. null counts as absent.
type params struct{ query, operation, variables, extensions any }

// named returns the parameter of that name, and for other names one that is not used.
func (p *params) named(name string) *any {
	switch name {
	case "query":
		return &p.query
	case "operationName":
		return &p.operation
	case "variables":
		return &p.variables
	case "extensions":
		return &p.extensions
	default:
		return new(any)
	}
}

func parseBody(body []byte) (*request, *refusal) {
	if !utf8.Valid(body) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "The body is not UTF-8.")
	}
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeWrongUsage,
			"Batches are not supported: send one request at a time.")
	}
	r, p := jsontext.NewReader(string(body)), params{}
	for r.Open('{'); r.More('}'); {
		param := p.named(r.Name())
		*param = r.Value()
	}
	switch err := r.End(); {
	case errors.Is(err, jsontext.ErrSurrogate):
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "A string has half of a surrogate pair.")
	case err != nil:
		return nil, malformed("The body is not a JSON object: %s.", jsonProblem(body))
	}
	return parseParams(p)
}

// parseURL parses the parameters of a GET. variables and extensions are JSON, the others text.
func parseURL(u *url.URL) (*request, *refusal) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed("The URL's parameters cannot be read.")
	}
	var p params
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		var value any = text
		if name == "variables" || name == "extensions" {
			r := jsontext.NewReader(text)
			value, err = r.Value(), r.End()
		}
		switch {
		case !utf8.ValidString(text) || errors.Is(err, jsontext.ErrSurrogate):
			return nil, refuseHTTP(http.StatusBadRequest, CodeBadString,
				fmt.Sprintf("The parameter %s is not UTF-8.", name))
		case err != nil:
			return nil, malformed("%q has to be an object and nothing after it.", name)
		}
		*p.named(name) = value
	}
	return parseParams(p)
}

func parseParams(p params) (*request, *refusal) {
	req := &request{}
	for _, param := range []struct {
		name, kind string
		fits       bool
	}{
		{"query", "a string", orNull(p.query, &req.query)},
		{"operationName", "a string", orNull(p.operation, &req.operation)},
		{"variables", "an object", orNull(p.variables, &req.variables)},
		{"extensions", "an object", orNull(p.extensions, new(map[string]any))},
	} {
		if !param.fits {
			return nil, malformed("%q has to be %s.", param.name, param.kind)
		}
	}
	if req.query == "" {
		return nil, malformed(`There is no "query".`)
	}
	return req, nil
}

// orNull sets target to value, unless that is nil, and reports whether value was a T or nil.
func orNull[T any](value any, target *T) (ok bool) {
	if value == nil {
		return true
	}
	*target, ok = value.(T)
	return ok
}

func malformed(format string, args ...any) *refusal {
	return refuseHTTP(http.StatusBadRequest, CodeSyntax, fmt.Sprintf(format, args...))
}

// jsonProblem says why body is not a JSON object: the error of encoding/json, without names of Go types.
func jsonProblem(body []byte) string {
	var object map[string]json.RawMessage
	err := json.Unmarshal(body, &object)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s, at byte %d", syntax, syntax.Offset)
	case errors.As(err, &kind):
		return "it is a " + kind.Value
	case err != nil:
		return err.Error()
	default:
		return "it is null"
	}
}
