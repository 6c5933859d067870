package graphqlhttp

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
)

// ServeHTTP answers one request of GraphQL over HTTP: POST with a JSON body, or GET for queries.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
	t, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		writeRefusal(w, refuseHTTP(http.StatusNotAcceptable, CodeWrongUsage, "The answer can be sent as "+
			"application/graphql-response+json or application/json, and Accept allows neither."), legacyJSON)
		return
	}
	op, vars, refused := h.prepare(w, r)
	if refused != nil {
		writeRefusal(w, refused, t)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.settings.Limits.Timeout)
	defer cancel()
	x := &execution{
		handler: h, ctx: h.settings.Context(ctx, r), vars: vars, status: http.StatusOK,
		scratch: scratches.Get().(*scratch),
	}
	x.run(op)
	if h.settings.Finish != nil {
		h.settings.Finish(x.ctx, header)
	}
	h.answer(w, t, x)
	x.scratch.release()
}

// prepare reads a request and checks it, so that only resolvers can fail after it.
func (h *Handler) prepare(
	w http.ResponseWriter, r *http.Request,
) (*ast.OperationDefinition, map[string]any, *refusal) {
	req, refused := h.read(w, r)
	if refused != nil {
		return nil, nil, refused
	}
	if req.query == "" {
		return nil, nil, malformed(`There is no "query".`)
	}
	doc, refused := h.document(req.query)
	if refused != nil {
		return nil, nil, refused
	}
	op, refused := h.operation(doc, req.operation)
	if refused != nil {
		return nil, nil, refused
	}
	if op.Operation == ast.Mutation && r.Method == http.MethodGet {
		w.Header().Set("Allow", http.MethodPost)
		return nil, nil, refuseHTTP(http.StatusMethodNotAllowed, CodeWrongUsage, "A mutation has to be sent by POST.")
	}
	vars, refused := h.variables(op, req.variables)
	return op, vars, refused
}

func (h *Handler) answer(w http.ResponseWriter, t mediaType, x *execution) {
	data := x.out[len(beforeData):]
	if limit := h.settings.Limits.Response; len(data) > limit {
		writeRefusal(w, refuse(CodeTooLarge, "The answer has more than %d bytes: ask for less at a time.", limit), t)
		return
	}
	if x.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(x.retry)))
	}
	if len(x.errs) > 0 {
		write(w, x.status, t, withErrors(x.errs, data))
		return
	}
	x.out = append(x.out, "}\n"...)
	write(w, x.status, t, x.out)
}

// bodies are buffers for requests. What is made of a body does not share its memory.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxReused is the size of the largest buffer that is reused, in bytes. Few requests and answers are longer.
const maxReused = 64 << 10

func (h *Handler) read(w http.ResponseWriter, r *http.Request) (*request, *refusal) {
	switch r.Method {
	case http.MethodPost:
		body := bodies.Get().(*bytes.Buffer)
		defer func() {
			if body.Cap() <= maxReused {
				body.Reset()
				bodies.Put(body)
			}
		}()
		if refused := h.readBody(w, r, body); refused != nil {
			return nil, refused
		}
		return parseBody(body.Bytes())
	case http.MethodGet:
		return parseURL(r.URL)
	default:
		w.Header().Set("Allow", "GET, POST")
		return nil, refuseHTTP(http.StatusMethodNotAllowed, CodeWrongUsage,
			"A request has to be sent by POST, or by GET.")
	}
}

// negotiate returns the media type of the answer (RFC 9110, section 12.5.1), and false if Accept allows none. Where
// both are equal, a client that names graphql-response+json gets it, and others get application/json, which every
// client knows.
func negotiate(accept []string) (mediaType, bool) {
	wanted := strings.Join(accept, ",")
	if strings.TrimSpace(wanted) == "" {
		return legacyJSON, true
	}
	type offer struct {
		quality     float64
		specificity int // 0: of another type
	}
	best := map[mediaType]offer{}
	for part := range strings.SplitSeq(wanted, ",") {
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
			o.specificity = 1 + slices.Index([]string{"*/*", "application/*", string(t)}, name)
			if o.specificity > best[t].specificity {
				best[t] = o
			}
		}
	}
	modern, legacy := best[graphqlResponse], best[legacyJSON]
	switch {
	case modern.quality == 0 && legacy.quality == 0:
		return "", false
	case modern.quality > legacy.quality, modern.quality == legacy.quality && modern.specificity == 3:
		return graphqlResponse, true
	default:
		return legacyJSON, true
	}
}
