// Use of accountd's cookies by pages in a browser: pages of its own origin, of an allowed one, of another port of
// the same site, and of another site. The variable ACCOUNTD is the binary.
import assert from "node:assert/strict";
import { step } from "../clients/accountd.mjs";
import { ask, browser as launch, cookieMode, pages, row } from "./start.mjs";

const register = `mutation { register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: "quiet-otter-42") { success } }`;
const login = `mutation { tokenAuth(username: "ada", password: "quiet-otter-42") { success } }`;
const whoAmI = "{ me { username } }";
const forget = "mutation { deleteTokenCookie { deleted } }";
const ada = `{"data":{"me":{"username":"ada"}}}\n`, nobody = `{"data":{"me":null}}\n`;

async function main(browser) {
	const otherAt = await pages();
	const allowed = `http://127.0.0.1:${await pages()}`, other = `http://127.0.0.1:${otherAt}`, elsewhere = `http://evil.example:${otherAt}`;
	const { url, stop } = await cookieMode({ ACCOUNTD_SERVER_CORS_ORIGINS: allowed });
	const api = `${url}/graphql`;
	const context = await browser.newContext();
	const open = async (address) => {
		const page = await context.newPage();
		await page.goto(address);
		return page;
	};
	const own = await open(`${url}/`);
	const cookieNames = async () => (await context.cookies(url)).map((c) => c.name).sort();
	const stillIn = async () => assert.equal((await ask(own, api, whoAmI)).body, ada);

	await step("log in on the own origin", async () => {
		assert.equal((await ask(own, api, whoAmI)).body, nobody);
		assert.equal((await ask(own, api, register)).body, `{"data":{"register":{"success":true}}}\n`);
		await context.clearCookies();
		assert.equal((await ask(own, api, login)).body, `{"data":{"tokenAuth":{"success":true}}}\n`);
		assert.equal(await own.evaluate(() => document.cookie), "");
		const cookies = await context.cookies(url);
		assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite, c.path, c.domain]).sort(), [
			["JWT", true, "Lax", "/", "127.0.0.1"], ["JWT-refresh-token", true, "Lax", "/", "127.0.0.1"],
		]);
		await stillIn();
	});

	await step("refresh", async () => {
		const before = (await context.cookies(url)).find((c) => c.name === "JWT-refresh-token").value;
		assert.equal((await ask(own, api, "mutation { refreshToken { success } }")).body, `{"data":{"refreshToken":{"success":true}}}\n`);
		assert.notEqual((await context.cookies(url)).find((c) => c.name === "JWT-refresh-token").value, before);
		await stillIn();
	});

	await step("an allowed origin", async () => {
		const page = await open(allowed);
		const answer = await ask(page, api, whoAmI);
		assert.equal(answer.body, ada);
		assert.ok(answer.id.length > 20);
		assert.equal((await ask(page, api, whoAmI, { request: { credentials: "omit" } })).body, nobody);
		assert.equal((await ask(page, api, whoAmI, { headers: { Authorization: "JWT nonsense" } })).body, nobody); // and the preflight lets it through
		assert.equal((await ask(page, api, whoAmI, { headers: { "X-Other": "1" } })).failure, "TypeError");
		const get = { method: "GET", body: undefined, headers: {} };
		assert.equal((await ask(page, `${api}?query=${encodeURIComponent(whoAmI)}`, "", { request: get })).body, ada);
	});

	for (const [name, origin] of [["another port", other], ["another site", elsewhere]]) {
		const page = await open(origin);
		await step(`${name}: fetch refused`, async () => {
			for (const request of [{}, { headers: { "Content-Type": "text/plain" } }, { method: "GET", body: undefined, headers: {} }]) {
				assert.equal((await ask(page, api, whoAmI, { request })).failure, "TypeError");
				assert.equal((await ask(page, api, forget, { request })).failure, "TypeError");
			}
			const blind = await ask(page, api, forget, { request: { mode: "no-cors", headers: { "Content-Type": "text/plain" } } });
			assert.deepEqual([blind.type, blind.status, blind.body], ["opaque", 0, ""]);
			assert.equal((await cookieNames()).length, 2);
			await stillIn();
		});

		await step("form refused", async () => {
			const form = await open(origin);
			const [answer] = await Promise.all([
				form.waitForNavigation(),
				form.evaluate(([action, name]) => {
					const form = document.createElement("form");
					Object.assign(form, { method: "post", action, enctype: "text/plain" });
					const input = document.createElement("input");
					Object.assign(input, { name, value: "\"}" });
					form.append(input);
					document.body.append(form);
					form.submit();
				}, [api, `{"query":"${forget}","x":"`]),
			]);
			assert.equal(answer.status(), 403);
			assert.match(await answer.text(), /server\.cors_origins.*"forbidden_origin"/);
			assert.equal((await cookieNames()).length, 2);
			await stillIn();
		});

		await step("links are anonymous", async () => {
			const link = await open(origin);
			const [answer] = await Promise.all([
				link.waitForNavigation(),
				link.evaluate((href) => { location.href = href; }, `${api}?query=${encodeURIComponent(whoAmI)}`),
			]);
			assert.match((await answer.request().allHeaders()).cookie, /JWT=/);
			assert.equal(await answer.text(), nobody);
		});
	}

	await step("log out", async () => {
		const { JWT: old } = Object.fromEntries((await context.cookies(url)).map((c) => [c.name, c.value]));
		assert.equal((await ask(own, api, "mutation { revokeToken { success } }")).body, `{"data":{"revokeToken":{"success":true}}}\n`);
		assert.deepEqual(await cookieNames(), []);
		assert.equal((await ask(own, api, whoAmI)).body, nobody);
		assert.equal((await ask(own, api, whoAmI, { headers: { Authorization: `JWT ${old}` } })).body, nobody);
	});
	await stop();

	await step("\\_\\_Host- and no token fields", async () => {
		const { url, stop } = await cookieMode({
			ACCOUNTD_TOKENS_COOKIES_SECURE: "true", ACCOUNTD_TOKENS_COOKIES_SAME_SITE: "Strict", ACCOUNTD_TOKENS_COOKIES_HIDE_TOKEN_FIELDS: "true",
		});
		const page = await open(`${url}/`);
		assert.match((await ask(page, `${url}/graphql`, register.replace("{ success }", "{ success token }"))).body, /"code":"validation"/);
		assert.equal((await ask(page, `${url}/graphql`, register)).body, `{"data":{"register":{"success":true}}}\n`);
		assert.deepEqual((await context.cookies(url)).map((c) => [c.name, c.secure, c.sameSite]).sort(), [
			["__Host-JWT", true, "Strict"], ["__Host-JWT-refresh-token", true, "Strict"],
		]);
		assert.equal((await ask(page, `${url}/graphql`, whoAmI)).body, ada);
		assert.equal((await ask(page, `${url}/graphql`, forget)).body, `{"data":{"deleteTokenCookie":{"deleted":true}}}\n`);
		assert.deepEqual((await context.cookies(url)).map((c) => c.name), ["__Host-JWT-refresh-token"]);
		await stop();
	});
}

const browser = await launch();
try {
	await main(browser);
} finally {
	await browser.close();
}
row("cookies");
