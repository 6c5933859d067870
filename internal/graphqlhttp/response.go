package graphqlhttp

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Values of extensions.code. permission_denied and throttled are for resolvers to give.
const (
	CodeSyntax                = "syntax"
	CodeValidation            = "validation"
	CodeVariables             = "variables"
	CodeOperation             = "operation"
	CodeTooLarge              = "too_large"
	CodeTooComplex            = "too_complex"
	CodeOneCredentialMutation = "one_credential_mutation"
	CodeWrongUsage            = "wrong_usage"
	CodePermissionDenied      = "permission_denied"
	CodeBadString             = "bad_string"
	CodeBusy                  = "busy"
	CodeThrottled             = "throttled"
	CodeInternal              = "internal"
)

// wireError is an error as the answer has it.
type wireError struct {
	message    string
	locations  []gqlerror.Location
	path       []any
	code       string
	requestID  string
	retryAfter int // seconds
}

// MarshalJSON writes an error in the form of the specification, section 7.1.2.
func (e *wireError) MarshalJSON() ([]byte, error) {
	type extensions struct {
		Code       string `json:"code"`
		RequestID  string `json:"requestId,omitempty"`
		RetryAfter int    `json:"retryAfter,omitempty"`
	}
	return json.Marshal(struct {
		Message    string              `json:"message"`
		Locations  []gqlerror.Location `json:"locations,omitempty"`
		Path       []any               `json:"path,omitempty"`
		Extensions extensions          `json:"extensions"`
	}{e.message, e.locations, e.path, extensions{e.code, e.requestID, e.retryAfter}})
}

// refusal is why a request is not executed.
type refusal struct {
	errs   []*wireError
	status int    // HTTP status; 0: the GraphQL is at fault, and the media type of the answer decides
	allow  string // the Allow header
}

func refuse(code, message string) *refusal {
	return &refusal{errs: []*wireError{{message: message, code: code}}}
}

func refuseHTTP(status int, code, message string) *refusal {
	r := refuse(code, message)
	r.status = status
	return r
}

// mediaType is what an answer is sent as.
type mediaType string

const (
	graphqlResponse mediaType = "application/graphql-response+json"
	legacyJSON      mediaType = "application/json"
)

// refusalStatus is the one place that says with which status faulty GraphQL is answered: clients of
// application/json take anything but 200 for a failure of the transport.
func refusalStatus(r *refusal, t mediaType) int {
	switch {
	case r.status != 0:
		return r.status
	case t == graphqlResponse:
		return http.StatusBadRequest
	default:
		return http.StatusOK
	}
}

func writeRefusal(w http.ResponseWriter, r *refusal, t mediaType) {
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	write(w, refusalStatus(r, t), t, withErrors(r.errs, nil))
}

// beforeData is how an answer without errors begins; "}\n" is how all end.
const beforeData = `{"data":`

// withErrors is an answer with errors, which come first. data is JSON, nil for none.
func withErrors(errs []*wireError, data []byte) []byte {
	list, err := json.Marshal(errs)
	if err != nil {
		panic("errors of the answer: " + err.Error()) // strings and numbers always encode
	}
	body := append([]byte(`{"errors":`), list...)
	if data != nil {
		body = append(append(body, `,"data":`...), data...)
	}
	return append(body, "}\n"...)
}

// Values of headers, shared by all answers: slices that are full, so that adding to one copies it.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}

	contentTypes = map[mediaType][]string{
		graphqlResponse: {string(graphqlResponse) + "; charset=utf-8"},
		legacyJSON:      {string(legacyJSON) + "; charset=utf-8"},
	}
)

// shortBody is how many bytes net/http at least holds back to tell their number by itself. Header maps of eight are cheap, and the
// number would be the ninth.
const shortBody = 2048

func write(w http.ResponseWriter, status int, t mediaType, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentTypes[t]
	if len(body) > shortBody {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: nobody is left to tell
}

func locate(p *ast.Position) []gqlerror.Location {
	if p == nil {
		return nil
	}
	return []gqlerror.Location{{Line: p.Line, Column: p.Column}}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
