package graphqlhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"

	"accountd/internal/jsontext"
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
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
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
	x := &execution{door: d, ctx: d.settings.Context(ctx, r), vars: vars, scratch: scratches.Get().(*scratch)}
	x.run(op)
	if d.settings.Finish != nil {
		d.settings.Finish(x.ctx, w.Header())
	}
	d.answer(w, t, x)
	x.scratch.giveBack()
}

func (d *Door) answer(w http.ResponseWriter, t mediaType, x *execution) {
	data := x.out[len(beforeData):]
	if limit := d.settings.Limits.Response; len(data) > limit {
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
	if len(x.errs) > 0 {
		write(w, status, t, withErrors(x.errs, data))
		return
	}
	x.out = append(x.out, "}\n"...)
	write(w, status, t, x.out)
}

func (d *Door) read(w http.ResponseWriter, r *http.Request) (*request, *refusal) {
	switch r.Method {
	case http.MethodPost:
		body := bodies.Get().(*bytes.Buffer)
		defer giveBack(body)
		if refused := d.body(w, r, body); refused != nil {
			return nil, refused
		}
		return parseBody(body.Bytes())
	case http.MethodGet:
		return parseURL(r.URL)
	default:
		refused := refuseHTTP(http.StatusMethodNotAllowed, CodeWrongUsage, "A request has to be sent by POST, or by GET.")
		refused.allow = "GET, POST"
		return nil, refused
	}
}

// bodies are for requests to be read into. What is made of a body refers to nothing in it.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBuffer is the largest buffer that is used again, in bytes: few requests and answers are longer.
const keptBuffer = 64 << 10

func giveBack(body *bytes.Buffer) {
	if body.Cap() <= keptBuffer {
		body.Reset()
		bodies.Put(body)
	}
}

// body reads the body of a POST. Only JSON is taken: a form, which any page can make a browser send, is not.
func (d *Door) body(w http.ResponseWriter, r *http.Request, into *bytes.Buffer) *refusal {
	media, charset, err := contentType(r.Header.Get("Content-Type"))
	encoding := r.Header.Get("Content-Encoding")
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") ||
		encoding != "" && !strings.EqualFold(encoding, "identity") {
		return refuseHTTP(http.StatusUnsupportedMediaType, CodeWrongUsage,
			"The body has to be JSON in UTF-8, not compressed, with Content-Type: application/json.")
	}
	_, err = into.ReadFrom(http.MaxBytesReader(w, r.Body, int64(d.settings.Limits.Body)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuseHTTP(http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("The body has more than %d bytes.", d.settings.Limits.Body))
	case err != nil:
		return refuseHTTP(http.StatusBadRequest, CodeSyntax, "The body did not arrive whole.")
	}
	return nil
}

// contentType reads a Content-Type, which nearly always is the one that is asked for.
func contentType(header string) (media, charset string, err error) {
	if header == string(legacyJSON) {
		return header, "", nil
	}
	media, params, err := mime.ParseMediaType(header)
	return media, params["charset"], err
}

// params are the parameters of a request as JSON has them. null is as good as absent.
type params struct{ query, operation, variables, extensions any }

// named is the parameter of that name. Others are passed over.
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
		return nil, refuseHTTP(http.StatusBadRequest, CodeWrongUsage, "Batches are not supported: send one request at a time.")
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

// parseURL reads the parameters of a GET: query and operationName as they are, variables and extensions as JSON.
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
			return nil, refuseHTTP(http.StatusBadRequest, CodeBadString, fmt.Sprintf("The parameter %s is not UTF-8.", name))
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

// orNull puts value into target, unless it is null. False means that it is no T.
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

// jsonProblem is what encoding/json has against a body that is no object, without its names of Go types.
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
