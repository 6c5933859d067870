// Relay's runtime without React, with the files that relay-compiler made of accounts.js and the SDL that accountd prints.
import assert from "node:assert/strict";
import relay from "relay-runtime";
import LoginMutation from "../generated/relay/accountsLoginMutation.graphql.js";
import LogoutMutation from "../generated/relay/accountsLogoutMutation.graphql.js";
import MeQuery from "../generated/relay/accountsMeQuery.graphql.js";
import RefreshMutation from "../generated/relay/accountsRefreshMutation.graphql.js";
import RegisterMutation from "../generated/relay/accountsRegisterMutation.graphql.js";
import UpdateMutation from "../generated/relay/accountsUpdateMutation.graphql.js";
import UserQuery from "../generated/relay/accountsUserQuery.graphql.js";
import users from "../generated/relay/accountsUsers.graphql.js";
import account from "../generated/relay/accountsAccount.graphql.js";
import UsersPaginationQuery from "../generated/relay/accountsUsersPaginationQuery.graphql.js";
import UsersQuery from "../generated/relay/accountsUsersQuery.graphql.js";
import VerifyMutation from "../generated/relay/accountsVerifyMutation.graphql.js";
import { activation, ada, addUser, password, row, start, step } from "../accountd.mjs";

const { Environment, Network, RecordSource, Store, commitMutation, createOperationDescriptor, fetchQuery, getSelector } = relay;
const accountd = await start();
let tokens = null; // of an app: in localStorage

async function fetchFn({ text: query, name: operationName }, variables) {
	const headers = { "Content-Type": "application/json", ...(tokens && { Authorization: `JWT ${tokens.token}` }) };
	const body = JSON.stringify({ query, variables, operationName });
	const response = await fetch(accountd.relay, { method: "POST", headers, body });
	return response.json();
}
const environment = new Environment({ network: Network.create(fetchFn), store: new Store(new RecordSource()) });

const mutate = (mutation, input) => new Promise((resolve, reject) => {
	commitMutation(environment, {
		mutation, variables: { input }, onError: reject,
		onCompleted: (data, errors) => (errors?.length ? reject(new Error(errors[0].message)) : resolve(data)),
	});
});
// kept is what a query has in the store; nothing is collected before this program ends.
function kept(query, variables = {}) {
	const operation = createOperationDescriptor(query, variables);
	environment.retain(operation);
	return environment.lookup(operation.fragment);
}
async function ask(query, variables = {}) {
	await fetchQuery(environment, query, variables, { fetchPolicy: "network-only" }).toPromise();
	return kept(query, variables).data;
}
const read = (fragment, key) => environment.lookup(getSelector(fragment, key)).data;

await step("register (errors, clientMutationId)", async () => {
	const input = { email: ada.email, username: ada.username, password1: password, password2: "loud-otter-42", clientMutationId: "first" };
	const { register: refused } = await mutate(RegisterMutation, input);
	assert.equal(refused.success, false);
	assert.equal(refused.clientMutationId, "first");
	assert.equal(refused.errors.password2[0].code, "password_mismatch");
	const { register } = await mutate(RegisterMutation, { ...input, password2: password, clientMutationId: "second" });
	assert.deepEqual(register, { success: true, errors: null, clientMutationId: "second" });
});

await step("mail, verify", async () => {
	const { verifyAccount } = await mutate(VerifyMutation, { token: await activation(accountd, ada.email) });
	assert.deepEqual(verifyAccount, { success: true, errors: null });
});

const id = await step("log in", async () => {
	const { tokenAuth } = await mutate(LoginMutation, { email: ada.email, password });
	assert.equal(tokenAuth.success, true);
	assert.equal(tokenAuth.payload.username, "ada");
	tokens = tokenAuth;
	return read(account, tokenAuth.user).id;
});

await step("me", async () => {
	const { me } = await ask(MeQuery);
	const { dateJoined, ...fields } = read(account, me);
	assert.deepEqual(fields, { id, username: "ada", firstName: "", verified: true });
	assert.match(dateJoined, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
	assert.equal(Buffer.from(id, "base64").toString(), "UserNode:1");
});

await step("updateAccount", async () => {
	const { updateAccount } = await mutate(UpdateMutation, { firstName: "Ada", clientMutationId: "third" });
	assert.deepEqual(updateAccount, { success: true, errors: null, clientMutationId: "third" });
	assert.equal(read(account, (await ask(MeQuery)).me).firstName, "Ada");
	await mutate(UpdateMutation, { firstName: null }); // clears in this form
	assert.equal(read(account, (await ask(MeQuery)).me).firstName, "");
});

await step("refresh", async () => {
	const { refreshToken } = await mutate(RefreshMutation, { refreshToken: tokens.refreshToken });
	assert.equal(refreshToken.success, true);
	tokens = refreshToken;
	assert.equal(read(account, (await ask(MeQuery)).me).username, "ada");
});

await step("permission_denied", async () => {
	const { data, errors } = await fetchFn(UserQuery.params, { id });
	assert.deepEqual(data, { user: null });
	assert.equal(errors[0].extensions.code, "permission_denied");
	assert.deepEqual(await ask(UserQuery, { id }), { user: null }); // Relay leaves out the error of a field
});

await step("log out", async () => {
	const { revokeToken } = await mutate(LogoutMutation, { refreshToken: tokens.refreshToken });
	assert.equal(revokeToken.success, true);
	assert.deepEqual(await ask(MeQuery), { me: null });
});

await step("a connection of three pages", async () => {
	for (const name of ["bert", "cleo", "dora"]) addUser(accountd, name);
	addUser(accountd, "root", "--staff");
	tokens = (await mutate(LoginMutation, { username: "root", password })).tokenAuth;

	const key = await ask(UsersQuery, { count: 2 });
	const names = () => read(users, key).users.edges.map(({ node }) => read(account, node).username);
	assert.deepEqual(names(), ["ada", "bert"]);
	for (const more of [["ada", "bert", "cleo", "dora"], ["ada", "bert", "cleo", "dora", "root"]]) {
		const { pageInfo } = read(users, key).users;
		assert.equal(pageInfo.hasNextPage, true);
		await ask(UsersPaginationQuery, { count: 2, cursor: pageInfo.endCursor });
		assert.deepEqual(names(), more);
	}
	assert.equal(read(users, key).users.pageInfo.hasNextPage, false);
});

await step("refetch by id", async () => {
	const { user } = await ask(UserQuery, { id });
	assert.equal(read(account, user).username, "ada");
	assert.equal(environment.getStore().getSource().get(id).__typename, "UserNode");
	assert.deepEqual(await ask(UserQuery, { id: Buffer.from("UserNode:99").toString("base64") }), { user: null });
});

await accountd.stop();
row("relay-compiler", "relay-runtime");
