package schema

import (
	"strings"
	"testing"

	"github.com/graphql-go/graphql"
)

// TestTokenArgumentClash: a name that a query field already has as an argument is refused. The error names the
// setting.
func TestTokenArgumentClash(t *testing.T) {
	t.Parallel()
	fields := graphql.Fields{
		"me":   {Type: graphql.String, Args: graphql.FieldConfigArgument{}},
		"user": {Type: graphql.String, Args: graphql.FieldConfigArgument{"id": {Type: graphql.ID}}},
	}
	err := withTokenArgument(nil, fields, "id")
	if err == nil || !strings.Contains(err.Error(),
		`tokens.argument_name = "id" is an argument of the query user already: choose another name`) {
		t.Errorf("got error %v, want the argument and the setting", err)
	}
}
