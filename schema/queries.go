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
			Type: userNode, Description: "The account that the request's access token belongs to; null without a good one.",
			Resolve: func(p graphql.ResolveParams) (any, error) { return callerOf(p.Context).User(p.Context) },
		},
		"user": {
			Type: userNode, Description: "The account with that id; null where there is none.",
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

// permit fails unless the viewer may look at others. Staff always may.
func (s Settings) permit(ctx context.Context) error {
	u, err := callerOf(ctx).User(ctx)
	if err != nil {
		return err
	}
	var allowed bool
	switch s.Users {
	case "public":
		allowed = true
	case "authenticated":
		allowed = u != nil
	case "verified":
		allowed = u != nil && (u.Verified || u.IsStaff)
	default:
		allowed = u != nil && u.IsStaff
	}
	if !allowed {
		return &graphqlhttp.Error{Message: "You do not have permission to perform this action", Code: graphqlhttp.CodePermissionDenied}
	}
	return nil
}

const userIDPrefix = "UserNode:"

// userID is an account's id in the API.
func userID(pk int64) string {
	return base64.StdEncoding.EncodeToString(strconv.AppendInt([]byte(userIDPrefix), pk, 10))
}

// parseUserID takes what userID gives, to the letter.
func parseUserID(id string) (pk int64, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return 0, false
	}
	digits, _ := strings.CutPrefix(string(raw), userIDPrefix)
	pk, err = strconv.ParseInt(digits, 10, 64)
	return pk, err == nil && userID(pk) == id
}

// usersField is the connection: what to list, and which part of it.
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
		Description: fmt.Sprintf("Accounts by pk, at most %d at a time, that fit all filters; null and \"\" filter nothing.", s.Page),
		Resolve: func(p graphql.ResolveParams) (any, error) {
			if err := s.permit(p.Context); err != nil {
				return nil, err
			}
			q := accounts.UserQuery{
				First: given[int](p.Args, "first"), Last: given[int](p.Args, "last"), Offset: given[int](p.Args, "offset"),
				After: given[string](p.Args, "after"), Before: given[string](p.Args, "before"), Limit: s.Page,
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

// filterArguments adds the filters of the settings to args, and returns them by argument.
func filterArguments(s Settings, args graphql.FieldConfigArgument) (map[string]accounts.Filter, error) {
	filters := map[string]accounts.Filter{}
	fields := s.Accounts.FilterFields()
	for _, name := range slices.Sorted(maps.Keys(s.FilterFields)) {
		field, ok := fields[name]
		for _, lookup := range s.FilterFields[name] {
			lookup := accounts.Lookup(lookup)
			if !ok || !slices.Contains(field.Lookups(), lookup) {
				return nil, fmt.Errorf("queries.filter_fields has %s of %s, by which users cannot be filtered: leave it out", lookup, name)
			}
			argument := accounts.FilterArgument(name, lookup)
			if args[argument] != nil {
				return nil, fmt.Errorf("queries.filter_fields gives users a second argument %s, for %s of %s: leave it out, or call the field otherwise", argument, lookup, name)
			}
			args[argument] = &graphql.ArgumentConfig{Type: scalars[field.Type]}
			filters[argument] = accounts.Filter{Field: name, Lookup: lookup}
		}
	}
	return filters, nil
}

// given is the value of an optional argument, nil for one that is missing or null.
func given[T any](args map[string]any, name string) *T {
	if v, ok := args[name].(T); ok {
		return &v
	}
	return nil
}

func userConnection(userNode *graphql.Object) *graphql.Object {
	edge := graphql.NewObject(graphql.ObjectConfig{
		Name: "UserNodeEdge", Description: "An account in a list.",
		Fields: graphql.Fields{
			"node": part(userNode, "The account.", func(e accounts.UserEdge) any { return e.User }),
			"cursor": part(graphql.NewNonNull(graphql.String), "Its place, for after and before: opaque, and good for ever.",
				func(e accounts.UserEdge) any { return e.Cursor() }),
		},
	})
	pageInfo := graphql.NewObject(graphql.ObjectConfig{
		Name: "PageInfo", Description: "Where a page is in its list.",
		Fields: graphql.Fields{
			"hasNextPage": part(graphql.NewNonNull(graphql.Boolean), "Whether more come after it.",
				func(p *accounts.UserPage) any { return p.HasNext }),
			"hasPreviousPage": part(graphql.NewNonNull(graphql.Boolean), "Whether others come before it.",
				func(p *accounts.UserPage) any { return p.HasPrevious }),
			"startCursor": part(graphql.String, "The cursor of the first edge; null for none.", func(p *accounts.UserPage) any {
				if len(p.Edges) == 0 {
					return nil
				}
				return p.Edges[0].Cursor()
			}),
			"endCursor": part(graphql.String, "The cursor of the last edge; null for none.", func(p *accounts.UserPage) any {
				if len(p.Edges) == 0 {
					return nil
				}
				return p.Edges[len(p.Edges)-1].Cursor()
			}),
		},
	})
	return graphql.NewObject(graphql.ObjectConfig{
		Name: "UserNodeConnection", Description: "A page of accounts.",
		Fields: graphql.Fields{
			"pageInfo": part(graphql.NewNonNull(pageInfo), "Where the page is in the list.", func(p *accounts.UserPage) any { return p }),
			"edges":    part(graphql.NewNonNull(graphql.NewList(edge)), "The accounts of the page.", func(p *accounts.UserPage) any { return p.Edges }),
		},
	})
}

// part is a field of what T is the source of.
func part[T any](typ graphql.Output, doc string, get func(T) any) *graphql.Field {
	return &graphql.Field{Type: typ, Description: doc, Resolve: func(p graphql.ResolveParams) (any, error) {
		return get(p.Source.(T)), nil
	}}
}
