// Typed documents by graphql-codegen's client preset, checked by tsc --strict: what is wrong to write does not compile.
import assert from "node:assert/strict";
import { graphql } from "../generated/codegen/index.js";
import type { TypedDocumentString } from "../generated/codegen/graphql.js";
import { activation, ada, row, start, step } from "../accountd.mjs";

const accountd = await start();
let token: string | null | undefined;

async function ask<Result, Variables>(
	document: TypedDocumentString<Result, Variables>,
	...[variables]: Variables extends Record<string, never> ? [] : [Variables]
): Promise<Result> {
	const response = await fetch(accountd.graphql, {
		method: "POST",
		headers: { "Content-Type": "application/json", ...(token && { Authorization: `JWT ${token}` }) },
		body: JSON.stringify({ query: document.toString(), variables }),
	});
	const { data, errors } = (await response.json()) as { data: Result; errors?: { message: string }[] };
	if (errors) throw new Error(errors[0]?.message);
	return data;
}

const Register = graphql(`
	mutation Register($email: String!, $username: String!, $password1: String!, $password2: String!) {
		register(email: $email, username: $username, password1: $password1, password2: $password2) { success errors }
	}
`);
const Verify = graphql(`mutation Verify($token: String!) { verifyAccount(token: $token) { success errors } }`);
const Login = graphql(`
	mutation Login($email: String, $username: String, $password: String!) {
		tokenAuth(email: $email, username: $username, password: $password) { success errors token refreshToken refreshExpiresIn payload user { id } }
	}
`);
const Refresh = graphql(`mutation Refresh($token: String!) { refreshToken(refreshToken: $token) { success token refreshToken } }`);
const Logout = graphql(`mutation Logout($token: String!) { revokeToken(refreshToken: $token) { success revoked } }`);
const Me = graphql(`query Me { me { username verified secondaryEmail lastLogin dateJoined } }`);
const Users = graphql(`query Users($first: Int, $after: String) { users(first: $first, after: $after) { edges { node { email } } pageInfo { endCursor } } }`);

await step("register (errors)", async () => {
	const refused = await ask(Register, { email: ada.email, username: ada.username, password1: ada.password, password2: "loud-otter-42" });
	const code: string | undefined = refused.register?.errors?.password2?.[0]?.code;
	assert.equal(code, "password_mismatch");
	const { register } = await ask(Register, { email: ada.email, username: ada.username, password1: ada.password, password2: ada.password });
	assert.deepEqual(register, { success: true, errors: null });
});

await step("mail, verify", async () => {
	const { verifyAccount } = await ask(Verify, { token: await activation(accountd, ada.email) });
	assert.equal(verifyAccount?.success, true);
});

const refreshToken = await step("log in", async () => {
	const { tokenAuth } = await ask(Login, { email: ada.email, password: ada.password });
	assert.equal(tokenAuth?.success, true);
	const until: number = tokenAuth.refreshExpiresIn ?? 0;
	assert.ok(until * 1000 > Date.now());
	assert.equal(tokenAuth.payload?.username, "ada");
	token = tokenAuth.token;
	return tokenAuth.refreshToken ?? "";
});

await step("me", async () => {
	const { me } = await ask(Me);
	const joined: string | undefined = me?.dateJoined;
	assert.ok(joined && !Number.isNaN(Date.parse(joined)));
	assert.deepEqual([me?.username, me?.verified, me?.secondaryEmail], ["ada", true, null]);
});

const next = await step("refresh", async () => {
	const { refreshToken: pair } = await ask(Refresh, { token: refreshToken });
	assert.equal(pair?.success, true);
	token = pair.token;
	assert.equal((await ask(Me)).me?.username, "ada");
	return pair.refreshToken ?? "";
});

await step("what does not compile", async () => {
	// @ts-expect-error variables are missing
	await assert.rejects(ask(Verify), /token/);
	// @ts-expect-error a variable has another type
	await assert.rejects(ask(Verify, { token: 12 }), /token/);
	// @ts-expect-error a field that was not asked for
	assert.equal((await ask(Me)).me?.email, undefined);
	await assert.rejects(ask(Users, { first: 10 }), /You do not have permission/);
});

await step("log out", async () => {
	const { revokeToken } = await ask(Logout, { token: next });
	const revoked: number | null | undefined = revokeToken?.revoked;
	assert.ok(revoked);
	assert.deepEqual(await ask(Me), { me: null });
});

await accountd.stop();
row("@graphql-codegen/cli", "@graphql-codegen/client-preset", "typescript");
