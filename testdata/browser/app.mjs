// An app whose pages are at another origin than accountd, in cookie mode: at another port of the same host, and at another site,
// which takes SameSite=None and a browser that lets it. Pages of origins that server.cors_origins does not name can do nothing of it.
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

// App is accountd and a page of an app that may use it.
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

	// does gives the one field of an answer that a page reads.
	async does(query, page = this.page) {
		const { status, body, failure } = await ask(page, this.accountd.graphql, query);
		assert.deepEqual([status, failure], [200, undefined]);
		const { data, errors } = JSON.parse(body);
		assert.equal(errors, undefined);
		return Object.values(data)[0];
	}

	// isIn says that act, which gives out tokens, makes ada of the page. An access token may have ended again where the machine stood
	// still.
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

// conversation is what a user does on pages of the app.
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

// refused is what a page of a foreign origin gets, for somebody who is in and for somebody who is not.
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
	assert.deepEqual(await app.cookies(), []); // nobody can be logged in as somebody else
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
