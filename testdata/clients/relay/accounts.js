// What relay-compiler compiles. relay/main.mjs imports the artifacts, so that no plugin of a bundler is needed here.
import { graphql } from "relay-runtime";

graphql`
	mutation accountsRegisterMutation($input: RegisterInput!) {
		register(input: $input) { success errors clientMutationId }
	}
`;

graphql`
	mutation accountsVerifyMutation($input: VerifyAccountInput!) {
		verifyAccount(input: $input) { success errors }
	}
`;

graphql`
	mutation accountsLoginMutation($input: ObtainJSONWebTokenInput!) {
		tokenAuth(input: $input) { success errors token refreshToken payload user { ...accountsAccount } }
	}
`;

graphql`
	mutation accountsRefreshMutation($input: RefreshTokenInput!) {
		refreshToken(input: $input) { success token refreshToken }
	}
`;

graphql`
	mutation accountsLogoutMutation($input: RevokeTokenInput!) {
		revokeToken(input: $input) { success }
	}
`;

graphql`
	mutation accountsUpdateMutation($input: UpdateAccountInput!) {
		updateAccount(input: $input) { success errors clientMutationId }
	}
`;

graphql`
	query accountsMeQuery {
		me { ...accountsAccount }
	}
`;

graphql`
	fragment accountsAccount on UserNode { id username firstName verified dateJoined }
`;

graphql`
	query accountsUsersQuery($count: Int!, $cursor: String) {
		...accountsUsers @arguments(count: $count, cursor: $cursor)
	}
`;

graphql`
	fragment accountsUsers on Query
	@argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
	@refetchable(queryName: "accountsUsersPaginationQuery") {
		users(first: $count, after: $cursor) @connection(key: "accounts_users") {
			edges { node { ...accountsAccount } }
		}
	}
`;

// The schema has no field node, so that @refetchable does not go on UserNode: this is its query.
graphql`
	query accountsUserQuery($id: ID!) {
		user(id: $id) { ...accountsAccount }
	}
`;
