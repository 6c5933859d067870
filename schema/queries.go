package schema

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
	"accountd/internal/graphqlhttp"
)

// queries are the fields of Query.
func queries(svc *accounts.Service, s Settings, userNode *graphql.Object) (graphql.Fields, error) {
	users, err := usersField(svc, s, userNode)
	if err != nil {
		return nil, err
	}
	return graphql.Fields{
		"me": {
			Type:        userNode,
			Description: "The account that the request's access token belongs to; null without a good one.",
			Args:        graphql.FieldConfigArgument{},
			Resolve: func(p graphql.ResolveParams) (any, error) {
				return requestOf(p.Context).caller.User(p.Context)
			},
		},
		"user": {
			Type: userNode, Description: "The account with that id; null if there is none.",
			Args: graphql.FieldConfigArgument{"id": {Type: graphql.NewNonNull(graphql.ID)}},
			Resolve: func(p graphql.ResolveParams) (any, error) {
				if err := s.permit(p.Context); err != nil {
					return nil, err
				}
				pk, ok := parseUserID(p.Args["id"].(string))
				if !ok {
					return nil, nil
				}
				return svc.UserByID(p.Context, pk)
			},
		},
		"users": users,
	}, nil
}

// permit fails unless the caller may query other accounts. Staff always may.
func (s Settings) permit(ctx context.Context) error {
	u, err := requestOf(ctx).caller.User(ctx)
	if err != nil {
		return err
	}
	if s.Users == "public" ||
		u != nil && (u.IsStaff || s.Users == "authenticated" || s.Users == "verified" && u.Verified) {
		return nil
	}
	return &graphqlhttp.Error{
		Message: "You do not have permission to perform this action", Code: graphqlhttp.CodePermissionDenied,
	}
}

const userIDPrefix = "UserNode:"

// userID returns the id of an account in the API.
func userID(pk int64) string {
	return base64.StdEncoding.EncodeToString(strconv.AppendInt([]byte(userIDPrefix), pk, 10))
}

// parseUserID is the inverse of userID. It accepts no other spelling.
func parseUserID(id string) (pk int64, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return 0, false
	}
	digits, _ := strings.CutPrefix(string(raw), userIDPrefix)
	pk, err = strconv.ParseInt(digits, 10, 64)
	return pk, err == nil && userID(pk) == id
}

// usersField makes the connection of accounts, with its arguments for filters and pages.
func usersField(svc *accounts.Service, s Settings, userNode *graphql.Object) (*graphql.Field, error) {
	args := graphql.FieldConfigArgument{
		"first": {Type: graphql.Int}, "last": {Type: graphql.Int}, "offset": {Type: graphql.Int},
		"after": {Type: graphql.String}, "before": {Type: graphql.String},
	}
	filters, err := filterArguments(s, args)
	if err != nil {
		return nil, err
	}
	return &graphql.Field{
		Type: userConnection(userNode), Args: args,
		Description: fmt.Sprintf("Accounts by pk, at most %d at a time, that fit all filters; "+
			"null and \"\" filter nothing.", s.Page),
		Resolve: func(p graphql.ResolveParams) (any, error) {
			if err := s.permit(p.Context); err != nil {
				return nil, err
			}
			q := accounts.UserQuery{
				First: given[int](p.Args, "first"), After: given[string](p.Args, "after"),
				Last: given[int](p.Args, "last"), Before: given[string](p.Args, "before"),
				Offset: given[int](p.Args, "offset"), Limit: s.Page,
			}
			for _, name := range slices.Sorted(maps.Keys(filters)) {
				if value := p.Args[name]; value != nil {
					f := filters[name]
					f.Value = value
					q.Filters = append(q.Filters, f)
				}
			}
			page, err := svc.Users(p.Context, q)
			if err != nil {
				return nil, clientError(err)
			}
			return page, nil
		},
	}, nil
}

// filterArguments adds an argument for each configured filter to args, and returns the filters by argument.
func filterArguments(s Settings, args graphql.FieldConfigArgument) (map[string]accounts.Filter, error) {
	filters := map[string]accounts.Filter{}
	fields := s.Accounts.FilterFields()
	for _, name := range slices.Sorted(maps.Keys(s.FilterFields)) {
		field, ok := fields[name]
		for _, lookup := range s.FilterFields[name] {
			lookup := accounts.Lookup(lookup)
			if !ok || !slices.Contains(field.Lookups(), lookup) {
				return nil, fmt.Errorf("queries.filter_fields has %s of %s, by which users cannot be filtered: "+
					"leave it out", lookup, name)
			}
			argument := accounts.FilterArgument(name, lookup)
			if args[argument] != nil {
				return nil, fmt.Errorf("queries.filter_fields gives users a second argument %s, for %s of %s: "+
					"leave it out, or call the field otherwise", argument, lookup, name)
			}
			args[argument] = &graphql.ArgumentConfig{Type: scalars[field.Type]}
			filters[argument] = accounts.Filter{Field: name, Lookup: lookup}
		}
	}
	return filters, nil
}

// given returns the value of an optional argument, nil for an absent one or null.
func given[T any](args map[string]any, name string) *T {
	if v, ok := args[name].(T); ok {
		return &v
	}
	return nil
}

func userConnection(userNode *graphql.Object) *graphql.Object {
	type page = *accounts.UserPage
	text, flag := graphql.NewNonNull(graphql.String), graphql.NewNonNull(graphql.Boolean)
	edge := graphql.NewObject(graphql.ObjectConfig{
		Name: "UserNodeEdge", Description: "An account in a list.",
		Fields: graphql.Fields{
			"node": part(userNode, "The account.", func(u *accounts.User) any { return u }),
			"cursor": part(text, "Its place, for after and before: opaque, and good for ever.",
				func(u *accounts.User) any { return u.Cursor() }),
		},
	})
	cursor := func(users []*accounts.User, i int) any {
		if len(users) == 0 {
			return nil
		}
		return users[i].Cursor()
	}
	pageInfo := graphql.NewObject(graphql.ObjectConfig{
		Name: "PageInfo", Description: "Where a page is in its list.",
		Fields: graphql.Fields{
			"hasNextPage":     part(flag, "Whether more come after it.", func(p page) any { return p.HasNext }),
			"hasPreviousPage": part(flag, "Whether others come before it.", func(p page) any { return p.HasPrevious }),
			"startCursor": part(graphql.String, "The cursor of the first edge; null for none.",
				func(p page) any { return cursor(p.Users, 0) }),
			"endCursor": part(graphql.String, "The cursor of the last edge; null for none.",
				func(p page) any { return cursor(p.Users, len(p.Users)-1) }),
		},
	})
	return graphql.NewObject(graphql.ObjectConfig{
		Name: "UserNodeConnection", Description: "A page of accounts.",
		Fields: graphql.Fields{
			"pageInfo": part(graphql.NewNonNull(pageInfo), "Where the page is in the list.",
				func(p page) any { return p }),
			"edges": part(graphql.NewNonNull(graphql.NewList(edge)), "The accounts of the page.",
				func(p page) any { return p.Users }),
		},
	})
}

// part makes a field of an object whose source is a T.
func part[T any](typ graphql.Output, doc string, get func(T) any) *graphql.Field {
	return &graphql.Field{Type: typ, Description: doc, Resolve: func(p graphql.ResolveParams) (any, error) {
		return get(p.Source.(T)), nil
	}}
}
