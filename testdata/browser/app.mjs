// An app on another origin than accountd, in cookie mode: on another port of the same host, and on another site, which
// needs SameSite=None and a browser that allows third-party cookies. Pages of origins that server.cors_origins does not
// name are refused.
// The variable ACCOUNTD is the binary.
import assert from "node:assert/strict";
import { activation, ada, step } from "../clients/accountd.mjs";
import { ask, browser as launch, cookieMode, pages, row, thirdParty } from "./start.mjs";

const register = `mutation { register(email: "${ada.email}", username: "ada", password1: "${ada.password}", password2: "${ada.password}") { success errors } }`;
const verify = (token) => `mutation { verifyAccount(token: "${token}") { success errors } }`;
const login = `mutation { tokenAuth(email: "${ada.email}", password: "${ada.password}") { success errors } }`;
const refresh = "mutation { refreshToken { success errors } }";
const logout = "mutation { revokeToken { success errors } }";
const whoAmI = "{ me { username verified } }";
const adaHerself = { username: "ada", verified: true };
const done = { success: true, errors: null };
const invalid = { success: false, errors: { nonFieldErrors: [{ message: "Invalid token.", code: "invalid_token" }] } };

// App is accountd with a page of an app on an allowed origin.
class App {
	static async open(context, origin, settings) {
		const app = new App();
		app.origin = origin;
		app.accountd = await cookieMode({ ACCOUNTD_SERVER_CORS_ORIGINS: origin, ACCOUNTD_TOKENS_ACCESS_LIFETIME: "3s", ...settings });
		app.context = context;
		app.page = await app.tab(origin);
		return app;
	}

	async tab(origin) {
		const page = await this.context.newPage();
		await page.goto(origin);
		return page;
	}

	// does returns the only field of a response that the page reads.
	async does(query, page = this.page) {
		const { status, body, failure } = await ask(page, this.accountd.graphql, query);
		assert.deepEqual([status, failure], [200, undefined]);
		const { data, errors } = JSON.parse(body);
		assert.equal(errors, undefined);
		return Object.values(data)[0];
	}

	// isIn checks that the page is logged in as ada after act, which sets tokens. On a stalled machine the access token may
	// have expired again.
	async isIn(act, page = this.page) {
		for (let tries = 0; tries < 5; tries++) {
			assert.deepEqual(await this.does(act, page), done);
			const me = await this.does(whoAmI, page);
			if (me) return assert.deepEqual(me, adaHerself);
		}
		assert.fail(`nobody is in after ${act}`);
	}

	async expired() {
		while (await this.does(whoAmI)) await this.page.evaluate(() => new Promise(requestAnimationFrame));
	}

	async cookies() {
		return (await this.context.cookies(this.accountd.url)).map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]).sort();
	}

	async close() {
		await this.context.close();
		await this.accountd.stop();
	}
}

// conversation runs the steps of a user on pages of the app.
async function conversation(app, where, [access, lasting]) {
	await step(`${where}: register`, async () => {
		assert.deepEqual(await app.does(register), done);
		assert.deepEqual(await app.cookies(), [access, lasting]);
		assert.deepEqual(await app.does(verify(await activation(app.accountd, ada.email))), done);
	});

	await step("log in", async () => {
		await app.context.clearCookies();
		assert.equal(await app.does(whoAmI), null);
		await app.isIn(login);
		assert.equal(await app.page.evaluate(() => document.cookie), "");
	});

	await step("expired access", async () => {
		await app.expired();
		assert.deepEqual((await app.cookies()).at(-1), lasting);
	});

	await step("refresh", () => app.isIn(refresh));

	await step("two tabs refresh at once", async () => {
		const second = await app.tab(app.origin);
		await app.expired();
		assert.deepEqual(await Promise.all([app.does(refresh), app.does(refresh, second)]), [done, done]);
		await app.isIn(refresh);
		await app.isIn(refresh, second);
	});

	await step("log out", async () => {
		assert.deepEqual(await app.does(logout), done);
		assert.deepEqual(await app.cookies(), []);
		assert.equal(await app.does(whoAmI), null);
		assert.deepEqual(await app.does(refresh), invalid);
	});
}

// refused checks that a page of a foreign origin is refused, logged in or not.
async function refused(app, origin) {
	const page = await app.tab(origin);
	const api = app.accountd.graphql;
	const plain = { headers: { "Content-Type": "text/plain" } };
	const attempts = async () => {
		for (const query of [whoAmI, login, refresh, logout]) {
			for (const request of [{}, plain, { method: "GET", body: undefined, headers: {} }]) {
				assert.equal((await ask(page, api, query, { request })).failure, "TypeError");
			}
			const { type, status, body } = await ask(page, api, query, { request: { mode: "no-cors", ...plain } });
			assert.deepEqual([type, status, body], ["opaque", 0, ""]);
		}
	};
	await attempts();
	assert.deepEqual(await app.cookies(), []); // a foreign page cannot log the browser in
	await app.isIn(login);
	const held = async () => (await app.context.cookies(app.accountd.url)).find(({ name }) => name.endsWith("JWT-refresh-token")).value;
	const before = await held();
	await attempts();
	assert.equal(await held(), before);
	await app.isIn(refresh);
	assert.deepEqual(await app.does(logout), done);
}

async function main(browser) {
	const port = await pages(), foreign = await pages();
	const lax = (name) => [name, true, false, "Lax"], none = (name) => [`__Host-${name}`, true, true, "None"];

	const near = await App.open(await browser.newContext(), `http://127.0.0.1:${port}`);
	await conversation(near, "another port", [lax("JWT"), lax("JWT-refresh-token")]);
	await step("a foreign port refused", () => refused(near, `http://127.0.0.1:${foreign}`));
	await step("a foreign site refused", () => refused(near, `http://evil.example:${foreign}`));
	await near.close();

	const far = `http://app.example:${port}`;
	const blocked = await App.open(await browser.newContext(), far);
	await step("another site with SameSite=Lax: no cookies", async () => {
		assert.deepEqual(await blocked.does(register), done);
		assert.deepEqual(await blocked.cookies(), []);
		assert.equal(await blocked.does(whoAmI), null);
	});
	await blocked.close();

	const allowed = await App.open(await thirdParty(), far, { ACCOUNTD_TOKENS_COOKIES_SAME_SITE: "None", ACCOUNTD_TOKENS_COOKIES_SECURE: "true" });
	await conversation(allowed, "with SameSite=None", [none("JWT"), none("JWT-refresh-token")]);
	await step("a foreign site refused", () => refused(allowed, `http://evil.example:${foreign}`));
	await allowed.close();
}

const browser = await launch();
try {
	await main(browser);
} finally {
	await browser.close();
}
row("an app on another origin");
