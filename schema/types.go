package schema

import (
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"accountd/accounts"
)

var dateTime = graphql.NewScalar(graphql.ScalarConfig{
	Name: "DateTime", Description: "A point in time as 2020-01-31T23:59:59+00:00: whole seconds, UTC.",
	Serialize: func(v any) any {
		switch t := v.(type) {
		case time.Time:
			return accounts.FormatDateTime(t)
		case *time.Time:
			return accounts.FormatDateTime(*t)
		}
		return nil
	},
	ParseValue: func(v any) any {
		text, _ := v.(string)
		if t, ok := accounts.ParseDateTime(text); ok {
			return t
		}
		return nil
	},
	ParseLiteral: func(ast.Value) any { return nil }, // graphqlhttp passes literals to ParseValue
})

var genericScalar = outputScalar("GenericScalar", "A JSON value.", func(v any) any { return v })

var node = graphql.NewInterface(graphql.InterfaceConfig{
	Name: "Node", Description: "Anything that has an id of its own across all types.",
	Fields: graphql.Fields{"id": {Type: graphql.NewNonNull(graphql.ID), Description: "Opaque, and the same for ever."}},
})

// newUserNode makes the type UserNode.
func newUserNode(s Settings) *graphql.Object {
	type user = *accounts.User
	id, text := graphql.NewNonNull(graphql.ID), graphql.NewNonNull(graphql.String)
	flag, moment := graphql.NewNonNull(graphql.Boolean), graphql.NewNonNull(dateTime)
	fields := graphql.Fields{
		"id":       part(id, "Opaque, and the same for ever.", func(u user) any { return userID(u.ID) }),
		"pk":       part(graphql.Int, "The number of the account.", func(u user) any { return u.ID }),
		"username": part(text, "Unique whatever its case.", func(u user) any { return u.Username }),
		"email":    part(text, "The primary address.", func(u user) any { return u.Email }),
		"secondaryEmail": part(graphql.String, "A second, verified address; null for none.",
			func(u user) any { return orNull(u.SecondaryEmail) }),
		"firstName": part(text, "", func(u user) any { return u.FirstName }),
		"lastName":  part(text, "", func(u user) any { return u.LastName }),
		"verified": part(graphql.Boolean, "Whether the primary address is verified.",
			func(u user) any { return u.Verified }),
		"archived": part(graphql.Boolean, "Whether the owner has put the account away; logging in takes it back.",
			func(u user) any { return u.Archived }),
		"isActive":   part(flag, "False for a deleted account.", func(u user) any { return u.IsActive }),
		"isStaff":    part(flag, "Whether the account may look at others.", func(u user) any { return u.IsStaff }),
		"dateJoined": part(moment, "When the account was made.", func(u user) any { return u.DateJoined }),
		"lastLogin": part(dateTime, "The last login with a password; null for never.",
			func(u user) any { return u.LastLogin }),
	}
	for _, f := range s.Accounts.Fields {
		if f.Public {
			doc := "The configured field " + f.Name + "; null for no value."
			value := func(u user) any { return u.Fields[f.Name] }
			fields[accounts.ArgumentName(f.Name)] = part(scalars[f.Type], doc, value)
		}
	}
	for _, name := range s.ExcludeFields {
		delete(fields, accounts.ArgumentName(name))
	}
	return graphql.NewObject(graphql.ObjectConfig{
		Name: "UserNode", Description: "An account.", Interfaces: []*graphql.Interface{node}, Fields: fields,
		IsTypeOf: func(p graphql.IsTypeOfParams) bool { _, ok := p.Value.(*accounts.User); return ok },
	})
}

// Outputs of mutations.
var (
	token = output[accounts.Session]{
		name: "token", typ: graphql.String, doc: "The access token, a JWT.",
		get: func(s *accounts.Session) any { return orNull(s.Token) },
	}
	refreshToken = output[accounts.Session]{
		name: "refreshToken", typ: graphql.String, doc: "What refreshToken takes for the next pair of tokens.",
		get: func(s *accounts.Session) any { return orNull(s.RefreshToken) },
	}
	payload = output[accounts.Session]{
		name: "payload", typ: genericScalar, doc: "The claims of the access token.",
		get: func(s *accounts.Session) any { return s.Payload },
	}
	refreshExpiresIn = output[accounts.Session]{
		name: "refreshExpiresIn", typ: graphql.Int,
		doc: "The time until which the session can be refreshed, in seconds since 1970.",
		get: func(s *accounts.Session) any { return orNull(s.RefreshExpiresIn) },
	}
	unarchiving = output[accounts.Session]{
		name: "unarchiving", typ: graphql.Boolean,
		doc: "Whether this login unarchived the account.",
		get: func(s *accounts.Session) any { return s.Unarchived },
	}
	revoked = output[accounts.Revocation]{
		name: "revoked", typ: graphql.Int, doc: "When the session ended, in seconds since 1970.",
		get: func(r *accounts.Revocation) any { return orNull(r.Revoked) },
	}
	deleted = output[bool]{
		name: "deleted", typ: graphql.NewNonNull(graphql.Boolean),
		doc: "Whether the request had the cookie; false without cookie mode.",
		get: func(deleted *bool) any { return *deleted },
	}
)

// orNull returns nil for a zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
