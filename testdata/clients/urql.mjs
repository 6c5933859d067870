// urql with its auth exchange: an expired access token is refreshed once for all waiting requests.
import assert from "node:assert/strict";
import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { activation, ada, counted, expired, expiry, row, start, step } from "./accountd.mjs";

const accountd = await start({ ACCOUNTD_TOKENS_ACCESS_LIFETIME: "2s" });
const fetch = counted();
let tokens = null; // of an app: in localStorage

const auth = authExchange(async ({ appendHeaders, mutate }) => ({
	addAuthToOperation: (operation) =>
		tokens ? appendHeaders(operation, { Authorization: `JWT ${tokens.token}` }) : operation,
	willAuthError: (operation) => {
		// These mutations do not need a session.
		const [{ selectionSet }] = operation.query.definitions;
		const mutation = operation.kind === "mutation" && selectionSet.selections[0].name.value;
		const open = ["register", "verifyAccount", "tokenAuth", "refreshToken", "revokeToken"].includes(mutation);
		return !open && tokens !== null && expiry(tokens.token) <= Date.now();
	},
	didAuthError: () => false, // an expired token is no error: the request is anonymous
	refreshAuth: async () => {
		const { data, error } = await mutate(
			gql`mutation ($token: String!) { refreshToken(refreshToken: $token) { success token refreshToken } }`,
			{ token: tokens.refreshToken },
		);
		if (error) return; // offline: the next operation tries again
		tokens = data.refreshToken.success ? data.refreshToken : null;
	},
}));
const client = new Client({ url: accountd.graphql, exchanges: [cacheExchange, auth, fetchExchange], fetch });

// done returns the data of an operation, and fails for an error.
async function done(source) {
	const { data, error } = await source.toPromise();
	assert.equal(error, undefined);
	return data;
}
const ask = (query) => client.query(query, {}, { requestPolicy: "network-only" });

await step("register", async () => {
	const { register } = await done(client.mutation(gql`
		mutation ($email: String!, $username: String!, $password: String!) {
			register(email: $email, username: $username, password1: $password, password2: $password) { success errors }
		}`, ada));
	assert.deepEqual(register, { __typename: "Register", success: true, errors: null });
});

await step("mail, verify", async () => {
	const { verifyAccount } = await done(client.mutation(gql`mutation ($token: String!) { verifyAccount(token: $token) { success errors } }`,
		{ token: await activation(accountd, ada.email) }));
	assert.equal(verifyAccount.success, true);
});

await step("log in", async () => {
	const login = gql`mutation ($email: String!, $password: String!) { tokenAuth(email: $email, password: $password) { success errors token refreshToken } }`;
	const { tokenAuth: refused } = await done(client.mutation(login, { email: ada.email, password: "loud-otter-42" }));
	assert.deepEqual(refused.errors, { nonFieldErrors: [{ message: "Please, enter valid credentials.", code: "invalid_credentials" }] });
	const { tokenAuth } = await done(client.mutation(login, { email: ada.email, password: ada.password }));
	assert.equal(tokenAuth.success, true);
	tokens = tokenAuth;
});

await step("me", async () => {
	const { me } = await done(ask("{ me { username verified } }"));
	assert.deepEqual(me, { __typename: "UserNode", username: "ada", verified: true });
});

await step("refresh (once, for three queries at a time by GET)", async () => {
	const before = tokens;
	await expired(before.token);
	const unknown = await (await globalThis.fetch(accountd.graphql, {
		method: "POST", headers: { "Content-Type": "application/json", Authorization: `JWT ${before.token}` }, body: JSON.stringify({ query: "{ me { username } }" }),
	})).json();
	assert.deepEqual(unknown, { data: { me: null } });

	fetch.sent.length = 0;
	const answers = await Promise.all(["{ me { username } }", "{ me { email } }", "{ me { verified } }"].map((query) => done(ask(query))));
	assert.deepEqual(answers.map(({ me }) => me), [
		{ __typename: "UserNode", username: "ada" }, { __typename: "UserNode", email: ada.email }, { __typename: "UserNode", verified: true },
	]);
	assert.equal(fetch.sent.filter((query) => query.includes("refreshToken(")).length, 1);
	assert.equal(fetch.sent.filter((query) => query.startsWith("GET ")).length, 3); // urql's default
	assert.equal(fetch.sent.length, 4);
	assert.notEqual(tokens.refreshToken, before.refreshToken);
});

await step("a code in extensions", async () => {
	const { error } = await ask("{ users { edges { node { email } } } }").toPromise();
	assert.equal(error.graphQLErrors[0].extensions.code, "permission_denied");
	assert.equal(error.networkError, undefined);
});

await step("log out", async () => {
	const { revokeToken } = await done(client.mutation(gql`mutation ($token: String!) { revokeToken(refreshToken: $token) { success } }`, { token: tokens.refreshToken }));
	assert.equal(revokeToken.success, true);
	const { token } = tokens;
	assert.deepEqual(await done(ask("{ me { username } }")), { me: null });
	await expired(token);
	assert.deepEqual(await done(ask("{ me { pk } }")), { me: null });
	assert.equal(tokens, null); // refreshToken was refused
});

await accountd.stop();
row("@urql/core", "@urql/exchange-auth");
