package frontdoor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
)

// request is a GraphQL request as its parameters have it.
type request struct {
	query     string
	operation string
	variables map[string]any // numbers are json.Number
}

// ServeHTTP answers one request, of the form of GraphQL over HTTP: POST with a JSON body, or GET for queries.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	t, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		writeRefusal(w, refuseHTTP(http.StatusNotAcceptable, CodeWrongUsage,
			"The answer can be sent as application/graphql-response+json or application/json, and Accept allows neither."), legacyJSON)
		return
	}
	req, refused := d.read(w, r)
	if refused != nil {
		writeRefusal(w, refused, t)
		return
	}
	doc, refused := d.document(req.query)
	if refused != nil {
		writeRefusal(w, refused, t)
		return
	}
	op, refused := d.operation(doc, req.operation)
	if refused == nil && op.Operation == ast.Mutation && r.Method == http.MethodGet {
		refused = refuseHTTP(http.StatusMethodNotAllowed, CodeWrongUsage, "A mutation has to be sent by POST.")
		refused.allow = http.MethodPost
	}
	var vars map[string]any
	if refused == nil {
		vars, refused = d.variables(op, req.variables)
	}
	if refused != nil {
		writeRefusal(w, refused, t)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), d.settings.Limits.Timeout)
	defer cancel()
	x := &execution{door: d, ctx: d.settings.Context(ctx, r), vars: vars}
	x.run(op)
	if d.settings.Finish != nil {
		d.settings.Finish(x.ctx, w.Header())
	}
	d.answer(w, t, x)
}

func (d *Door) answer(w http.ResponseWriter, t mediaType, x *execution) {
	if limit := d.settings.Limits.Response; len(x.out) > limit {
		writeRefusal(w, refuse(CodeTooLarge, fmt.Sprintf("The answer has more than %d bytes: ask for less at a time.", limit)), t)
		return
	}
	status := http.StatusOK
	if x.status != 0 {
		status = x.status
	}
	if x.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(x.retry)))
	}
	write(w, status, t, x.errs, x.out)
}

func (d *Door) read(w http.ResponseWriter, r *http.Request) (*request, *refusal) {
	switch r.Method {
	case http.MethodPost:
		body, refused := d.body(w, r)
		if refused != nil {
			return nil, refused
		}
		return parseBody(body)
	case http.MethodGet:
		return parseURL(r.URL)
	default:
		refused := refuseHTTP(http.StatusMethodNotAllowed, CodeWrongUsage, "A request has to be sent by POST, or by GET.")
		refused.allow = "GET, POST"
		return nil, refused
	}
}

// body reads the body of a POST. Only JSON is taken: a form, which any page can make a browser send, is not.
func (d *Door) body(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	encoding := r.Header.Get("Content-Encoding")
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") ||
		encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, refuseHTTP(http.StatusUnsupportedMediaType, CodeWrongUsage,
			"The body has to be JSON in UTF-8, not compressed, with Content-Type: application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(d.settings.Limits.Body)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuseHTTP(http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("The body has more than %d bytes.", d.settings.Limits.Body))
	case err != nil:
		return nil, refuseHTTP(http.StatusBadRequest, CodeSyntax, "The body did not arrive whole.")
	}
	return body, nil
}

func parseBody(body []byte) (*request, *refusal) {
	if !utf8.Valid(body) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "The body is not UTF-8.")
	}
	if loneSurrogate(body) {
		return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, "A string has half of a surrogate pair.")
	}
	if start := bytes.TrimLeft(body, " \t\r\n"); len(start) > 0 && start[0] == '[' {
		return nil, refuseHTTP(http.StatusBadRequest, CodeWrongUsage, "Batches are not supported: send one request at a time.")
	}
	var params map[string]json.RawMessage // a struct would take "QUERY" as well
	if err := json.Unmarshal(body, &params); err != nil {
		return nil, malformed("The body is not a JSON object: %s.", jsonProblem(err))
	}
	if params == nil {
		return nil, malformed("The body is not a JSON object: it is null.")
	}
	return parseParams(params)
}

// parseURL reads the parameters of a GET: query and operationName as they are, variables and extensions as JSON.
func parseURL(u *url.URL) (*request, *refusal) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed("The URL's parameters cannot be read.")
	}
	params := map[string]json.RawMessage{}
	for name, isJSON := range map[string]bool{"query": false, "operationName": false, "variables": true, "extensions": true} {
		value := values.Get(name)
		switch {
		case !utf8.ValidString(value) || isJSON && loneSurrogate([]byte(value)):
			return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, fmt.Sprintf("The parameter %s is not UTF-8.", name))
		case value == "":
		case isJSON:
			params[name] = json.RawMessage(value)
		default:
			params[name] = appendString(nil, value)
		}
	}
	return parseParams(params)
}

func parseParams(params map[string]json.RawMessage) (*request, *refusal) {
	req := &request{}
	for _, p := range []struct {
		name, kind string
		into       any
	}{
		{"query", "a string", &req.query},
		{"operationName", "a string", &req.operation},
		{"variables", "an object", &req.variables},
		{"extensions", "an object", &map[string]any{}},
	} {
		raw, ok := params[p.name]
		if !ok {
			continue
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(p.into); err != nil {
			return nil, malformed("%q has to be %s.", p.name, p.kind)
		}
		if _, err := dec.Token(); err != io.EOF {
			return nil, malformed("%q has to be %s and nothing after it.", p.name, p.kind)
		}
	}
	if req.query == "" {
		return nil, malformed(`There is no "query".`)
	}
	return req, nil
}

func malformed(format string, args ...any) *refusal {
	return refuseHTTP(http.StatusBadRequest, CodeSyntax, fmt.Sprintf(format, args...))
}

// jsonProblem is encoding/json's complaint without its names of Go types.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s, at byte %d", syntax, syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return "it is a " + kind.Value
	}
	return err.Error()
}

// negotiate picks the media type of the answer (RFC 9110, section 12.5.1). A client that takes anything gets
// application/json, which every client understands; one that names both alike gets the newer.
func negotiate(accept []string) (mediaType, bool) {
	wanted := strings.Join(accept, ",")
	if strings.TrimSpace(wanted) == "" {
		return legacyJSON, true
	}
	type offer struct {
		quality     float64
		specificity int
	}
	best := map[mediaType]offer{}
	for _, part := range strings.Split(wanted, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
			continue
		}
		o := offer{quality: 1}
		if q, ok := params["q"]; ok {
			if o.quality, err = strconv.ParseFloat(q, 64); err != nil || o.quality < 0 || o.quality > 1 {
				continue
			}
		}
		for _, t := range []mediaType{graphqlResponse, legacyJSON} {
			switch name {
			case string(t):
				o.specificity = 3
			case "application/*":
				o.specificity = 2
			case "*/*":
				o.specificity = 1
			default:
				continue
			}
			if o.specificity > best[t].specificity {
				best[t] = o
			}
		}
	}
	modern, legacy := best[graphqlResponse], best[legacyJSON]
	switch {
	case modern.quality == 0 && legacy.quality == 0:
		return "", false
	case modern.quality > legacy.quality,
		modern.quality == legacy.quality && modern.specificity == 3:
		return graphqlResponse, true
	default:
		return legacyJSON, true
	}
}

var _ http.Handler = (*Door)(nil)
