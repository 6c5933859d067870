// Apollo Client, its core without React: a link that holds the tokens, the cache, and both kinds of errors.
import assert from "node:assert/strict";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { SetContextLink } from "@apollo/client/link/context";
import { activation, ada, counted, expired, expiry, row, start, step } from "./accountd.mjs";

const accountd = await start({ ACCOUNTD_TOKENS_ACCESS_LIFETIME: "2s" });
const fetch = counted();
let tokens = null; // of an app: in localStorage

let refreshing = null;
const REFRESH = gql`
	mutation Refresh($token: String!) { refreshToken(refreshToken: $token) { success token refreshToken } }
`;
const open = ["Register", "Verify", "Login", "Refresh", "Logout"]; // the operations that do not need a session

async function refresh() {
	const { data } = await client.mutate({ mutation: REFRESH, variables: { token: tokens.refreshToken } });
	tokens = data.refreshToken.success ? data.refreshToken : null;
}

const auth = new SetContextLink(async ({ headers }, { operationName }) => {
	if (!open.includes(operationName) && tokens && expiry(tokens.token) <= Date.now()) {
		await (refreshing ??= refresh().finally(() => { refreshing = null; }));
	}
	return tokens ? { headers: { ...headers, Authorization: `JWT ${tokens.token}` } } : {};
});
const client = new ApolloClient({
	link: ApolloLink.from([auth, new HttpLink({ uri: accountd.graphql, fetch })]),
	cache: new InMemoryCache(),
});

const REGISTER = gql`
	mutation Register($email: String!, $username: String!, $password: String!, $again: String!) {
		register(email: $email, username: $username, password1: $password, password2: $again) { success errors }
	}`;
const LOGIN = gql`
	mutation Login($email: String!, $password: String!) {
		tokenAuth(email: $email, password: $password) { success errors token refreshToken user { id username verified firstName } }
	}`;
const ME = gql`query Me { me { id username verified firstName } }`;

await step("register", async () => {
	const { data } = await client.mutate({ mutation: REGISTER, variables: { ...ada, again: ada.password } });
	assert.deepEqual(data.register, { __typename: "Register", success: true, errors: null });
});

await step("errors of a form", async () => {
	const { data, error } = await client.mutate({ mutation: REGISTER, variables: { ...ada, again: "loud-otter-42" } });
	assert.equal(error, undefined);
	assert.equal(data.register.success, false);
	assert.deepEqual(Object.keys(data.register.errors), ["username", "password2"]);
	assert.deepEqual(data.register.errors.username, [{ message: "A user with that username already exists.", code: "unique" }]);
	assert.equal(data.register.errors.password2[0].code, "password_mismatch");
});

await step("mail, verify", async () => {
	const { data } = await client.mutate({
		mutation: gql`mutation Verify($token: String!) { verifyAccount(token: $token) { success errors } }`,
		variables: { token: await activation(accountd, ada.email) },
	});
	assert.equal(data.verifyAccount.success, true);
});

await step("log in", async () => {
	const { data } = await client.mutate({ mutation: LOGIN, variables: { email: ada.email, password: ada.password } });
	assert.equal(data.tokenAuth.success, true);
	tokens = data.tokenAuth;
});

await step("me", async () => {
	const { data } = await client.query({ query: ME, fetchPolicy: "network-only" });
	assert.deepEqual(data.me, { __typename: "UserNode", id: data.me.id, username: "ada", verified: true, firstName: "" });
	assert.equal(client.cache.extract()[`UserNode:${data.me.id}`].username, "ada");
});

await step("refresh (once, for three queries at a time)", async () => {
	const before = tokens;
	await expired(before.token);
	fetch.sent.length = 0;
	const answers = await Promise.all(["username", "email", "verified"].map((field) => client.query({
		query: gql`query { me { id ${field} } }`, fetchPolicy: "network-only",
	})));
	assert.deepEqual(answers.map(({ data }, i) => data.me[["username", "email", "verified"][i]]), ["ada", ada.email, true]);
	assert.equal(fetch.sent.filter((query) => query.includes("refreshToken(")).length, 1);
	assert.equal(fetch.sent.length, 4);
	assert.notEqual(tokens.refreshToken, before.refreshToken);
});

await step("the cache after updateAccount", async () => {
	const seen = [];
	const watching = client.watchQuery({ query: ME }).subscribe(({ data }) => { if (data?.me) seen.push(data.me.firstName); });
	const { data } = await client.mutate({
		mutation: gql`mutation Update { updateAccount(firstName: "Ada") { success errors } }`, refetchQueries: ["Me"], awaitRefetchQueries: true,
	});
	watching.unsubscribe();
	assert.deepEqual(data.updateAccount, { __typename: "UpdateAccount", success: true, errors: null });
	assert.deepEqual([...new Set(seen)], ["", "Ada"]);
});

await step("CombinedGraphQLErrors with a code", async () => {
	await assert.rejects(client.query({ query: gql`query Users { users { edges { node { id email } } } }` }), (failure) => {
		assert.ok(CombinedGraphQLErrors.is(failure));
		assert.equal(failure.errors[0].extensions.code, "permission_denied");
		return true;
	});
	const { data, error } = await client.query({ query: gql`query Nobody { nobody { id } }`, errorPolicy: "all" });
	assert.ok(CombinedGraphQLErrors.is(error)); // 400 with application/graphql-response+json, and its body is read
	assert.equal(error.errors[0].extensions.code, "validation");
	assert.equal(data ?? null, null);
});

await step("log out", async () => {
	const { data } = await client.mutate({
		mutation: gql`mutation Logout($token: String!) { revokeToken(refreshToken: $token) { success } }`, variables: { token: tokens.refreshToken },
	});
	assert.equal(data.revokeToken.success, true);
	tokens = null;
	await client.clearStore();
	assert.deepEqual((await client.query({ query: ME })).data, { me: null });
});

client.stop();
await accountd.stop();
row("@apollo/client");
