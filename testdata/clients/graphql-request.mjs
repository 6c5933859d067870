// graphql-request: a client that keeps a header and throws errors of requests.
import assert from "node:assert/strict";
import { ClientError, GraphQLClient, gql } from "graphql-request";
import { activation, ada, row, start, step } from "./accountd.mjs";

const accountd = await start();
const client = new GraphQLClient(accountd.graphql);

await step("register", async () => {
	const { register } = await client.request(gql`
		mutation ($email: String!, $username: String!, $password: String!) {
			register(email: $email, username: $username, password1: $password, password2: $password) { success errors }
		}`, ada);
	assert.deepEqual(register, { success: true, errors: null });
});

await step("mail, verify", async () => {
	const { verifyAccount } = await client.request(gql`mutation ($token: String!) { verifyAccount(token: $token) { success errors } }`,
		{ token: await activation(accountd, ada.email) });
	assert.deepEqual(verifyAccount, { success: true, errors: null });
});

const tokens = await step("log in", async () => {
	const { tokenAuth } = await client.request(gql`
		mutation ($email: String!, $password: String!) { tokenAuth(email: $email, password: $password) { success token refreshToken } }`,
	{ email: ada.email, password: ada.password });
	assert.equal(tokenAuth.success, true);
	client.setHeader("Authorization", `JWT ${tokenAuth.token}`);
	return tokenAuth;
});

await step("me", async () => {
	assert.deepEqual(await client.request("{ me { username verified } }"), { me: { username: "ada", verified: true } });
});

const next = await step("refresh", async () => {
	const { refreshToken } = await client.request("mutation ($token: String!) { refreshToken(refreshToken: $token) { success token refreshToken } }",
		{ token: tokens.refreshToken });
	assert.equal(refreshToken.success, true);
	assert.notEqual(refreshToken.refreshToken, tokens.refreshToken);
	client.setHeader("Authorization", `JWT ${refreshToken.token}`);
	assert.deepEqual(await client.request("{ me { username } }"), { me: { username: "ada" } });
	return refreshToken;
});

await step("ClientError with a code", async () => {
	await assert.rejects(client.request("{ users { edges { node { email } } } }"), (failure) => {
		assert.ok(failure instanceof ClientError);
		assert.equal(failure.response.status, 200);
		assert.equal(failure.response.errors[0].extensions.code, "permission_denied");
		return true;
	});
	await assert.rejects(client.request("{ nobody }"), (failure) => {
		assert.equal(failure.response.status, 400);
		assert.equal(failure.response.errors[0].extensions.code, "validation");
		return true;
	});
});

await step("no batches", async () => {
	await assert.rejects(client.batchRequests([{ document: "{ me { username } }" }, { document: "{ me { email } }" }]), ClientError);
});

await step("log out", async () => {
	const { revokeToken } = await client.request("mutation ($token: String!) { revokeToken(refreshToken: $token) { success } }", { token: next.refreshToken });
	assert.equal(revokeToken.success, true);
	assert.deepEqual(await client.request("{ me { username } }"), { me: null });
});

await accountd.stop();
row("graphql-request");
