package graphqlhttp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Values of extensions.code. Only resolvers use CodePermissionDenied and CodeThrottled.
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

// wireError is an error in an answer (GraphQL, section 7.1.2).
type wireError struct {
	Message    string              `json:"message"`
	Locations  []gqlerror.Location `json:"locations,omitempty"`
	Path       []any               `json:"path,omitempty"`
	Extensions extensions          `json:"extensions"`
}

type extensions struct {
	Code       string `json:"code"`
	RequestID  string `json:"requestId,omitempty"`
	RetryAfter int    `json:"retryAfter,omitempty"` // seconds
}

func newError(code, message string, at *ast.Position) *wireError {
	e := &wireError{Message: message, Extensions: extensions{Code: code}}
	if at != nil {
		e.Locations = []gqlerror.Location{{Line: at.Line, Column: at.Column}}
	}
	return e
}

// refusal says why a request is not executed.
type refusal struct {
	errs   []*wireError
	status int // of HTTP; 0: the GraphQL is faulty, see writeRefusal
}

func refuse(code, format string, args ...any) *refusal { return refuseHTTP(0, code, format, args...) }

func refuseHTTP(status int, code, format string, args ...any) *refusal {
	return &refusal{errs: []*wireError{newError(code, fmt.Sprintf(format, args...), nil)}, status: status}
}

// mediaType is a media type of answers.
type mediaType string

const (
	graphqlResponse mediaType = "application/graphql-response+json"
	legacyJSON      mediaType = "application/json"
)

// writeRefusal writes a refusal. Faulty GraphQL has the status 200 as application/json, because clients of that type
// take every other status for a failure of the transport.
func writeRefusal(w http.ResponseWriter, r *refusal, t mediaType) {
	faulty := http.StatusOK
	if t == graphqlResponse {
		faulty = http.StatusBadRequest
	}
	write(w, cmp.Or(r.status, faulty), t, withErrors(r.errs, nil))
}

// beforeData begins an answer without errors. "}\n" ends every answer.
const beforeData = `{"data":`

// withErrors returns an answer with errors. data is JSON, nil for none.
func withErrors(errs []*wireError, data []byte) []byte {
	list, err := json.Marshal(errs)
	if err != nil {
		panic("errors of an answer: " + err.Error()) // strings and numbers never fail
	}
	body := append([]byte(`{"errors":`), list...)
	if data != nil {
		body = append(append(body, `,"data":`...), data...)
	}
	return append(body, "}\n"...)
}

// shortBody is the number of bytes up to which net/http sets Content-Length itself. A header map of more than eight
// entries is slower, and Content-Length would be the ninth.
const shortBody = 2048

func write(w http.ResponseWriter, status int, t mediaType, body []byte) {
	header := w.Header()
	header.Set("Content-Type", string(t)+"; charset=utf-8")
	if len(body) > shortBody {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails if the client has gone
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
