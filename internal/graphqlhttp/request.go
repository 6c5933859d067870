package graphqlhttp

import (
	"bytes"
	"cmp"
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
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return refuseHTTP(http.StatusRequestEntityTooLarge, CodeTooLarge,
			"The body has more than %d bytes.", h.settings.Limits.Body)
	case err != nil:
		return refuseHTTP(http.StatusBadRequest, CodeSyntax, "The body did not arrive whole.")
	}
	return nil
}

// set sets a parameter to a JSON value. null counts as absent, and parameters of other names are not used.
func (req *request) set(name string, value any) *refusal {
	kind, ok := "a string", true
	switch name {
	case "query":
		req.query, ok = value.(string)
	case "operationName":
		req.operation, ok = value.(string)
	case "variables":
		kind = "an object"
		req.variables, ok = value.(map[string]any)
	case "extensions":
		kind = "an object"
		_, ok = value.(map[string]any)
	}
	if !ok && value != nil {
		return malformed("%q has to be %s.", name, kind)
	}
	return nil
}

func parseBody(body []byte) (*request, *refusal) {
	if !utf8.Valid(body) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "The body is not UTF-8.")
	}
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeWrongUsage,
			"Batches are not supported: send one request at a time.")
	}
	req := &request{}
	var refused *refusal
	r := jsontext.NewReader(string(body))
	for r.Open('{'); r.More('}'); {
		refused = cmp.Or(refused, req.set(r.Name(), r.Value()))
	}
	switch err := r.End(); {
	case errors.Is(err, jsontext.ErrSurrogate):
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "A string has half of a surrogate pair.")
	case err != nil:
		return nil, malformed("The body is not a JSON object: %s.", jsonProblem(body))
	}
	return req, refused
}

// parseURL parses the parameters of a GET. variables and extensions are JSON, the others text.
func parseURL(u *url.URL) (*request, *refusal) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed("The URL's parameters cannot be read.")
	}
	req := &request{}
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
			return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "The parameter %s is not UTF-8.", name)
		case err != nil:
			return nil, malformed("%q has to be an object and nothing after it.", name)
		}
		if refused := req.set(name, value); refused != nil {
			return nil, refused
		}
	}
	return req, nil
}

func malformed(format string, args ...any) *refusal {
	return refuseHTTP(http.StatusBadRequest, CodeSyntax, format, args...)
}

// jsonProblem says why body is not a JSON object: the error of encoding/json, without names of Go types.
func jsonProblem(body []byte) string {
	var object map[string]json.RawMessage
	err := json.Unmarshal(body, &object)
	switch err := err.(type) {
	case *json.SyntaxError:
		return fmt.Sprintf("%s, at byte %d", err, err.Offset)
	case *json.UnmarshalTypeError:
		return "it is a " + err.Value
	case nil:
		return "it is null"
	default:
		return err.Error()
	}
}
