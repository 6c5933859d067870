// What a browser lets pages do with accountd's cookies: pages of its own origin, of an allowed one, of another port of
// the same site, and of another site. Usage: node cookies.mjs DIR, where DIR holds the binary accountd.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { browser as launch } from "./start.mjs";

const dir = process.argv[2];
const running = [];
process.on("exit", () => running.forEach((child) => child.kill()));
process.on("SIGTERM", () => process.exit(1));

// pages serves empty pages on a free port, and says which.
async function pages() {
	const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>page</title>"));
	server.listen(0, "localhost");
	await once(server, "listening");
	return server.address();
}

// accountd starts a server of its own on localhost, and returns its URL once it says that it is ready.
async function accountd(name, settings) {
	const env = { ...process.env, ACCOUNTD_PASSWORDS_ARGON2_MEMORY: "8KiB", ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS: "1", ACCOUNTD_LOG_LEVEL: "error", ...settings };
	const child = spawn(join(dir, "accountd"), ["serve", "--listen", "localhost:0", "--data-dir", join(dir, name)], { cwd: dir, env, stdio: ["ignore", "pipe", "inherit"] });
	running.push(child);
	for await (const line of createInterface({ input: child.stdout })) {
		const url = /http:\/\/localhost:\d+/.exec(line);
		if (url) {
			child.stdout.resume();
			return url[0];
		}
	}
	throw new Error(`accountd ended with ${child.exitCode}`);
}

// ask posts a query from a page, and gives status, body and what may be read of the headers, or the failure's name.
function ask(page, url, query, init = {}) {
	return page.evaluate(async ([url, query, init]) => {
		try {
			const answer = await fetch(url, {
				method: "POST", credentials: "include", headers: { "Content-Type": "application/json", ...init.headers },
				body: JSON.stringify({ query }), ...(init.request ?? {}),
			});
			return { type: answer.type, status: answer.status, body: await answer.text(), id: answer.headers.get("X-Request-Id") };
		} catch (failure) {
			return { failure: failure.name };
		}
	}, [url, query, init]);
}

async function check(name, body) {
	await body();
	console.log(`ok: ${name}`);
}

const register = `mutation { register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: "quiet-otter-42") { success } }`;
const login = `mutation { tokenAuth(username: "ada", password: "quiet-otter-42") { success } }`;
const whoAmI = "{ me { username } }";
const forget = "mutation { deleteTokenCookie { deleted } }";
const ada = `{"data":{"me":{"username":"ada"}}}\n`, nobody = `{"data":{"me":null}}\n`;

async function main(browser) {
	const allowedAt = await pages(), otherAt = await pages();
	const allowed = `http://localhost:${allowedAt.port}`, other = `http://localhost:${otherAt.port}`, elsewhere = `http://127.0.0.1:${otherAt.port}`;
	const url = await accountd("lax", { ACCOUNTD_TOKENS_COOKIES_ENABLED: "true", ACCOUNTD_SERVER_CORS_ORIGINS: allowed });
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

	await check("login on the own origin sets cookies that scripts do not see", async () => {
		assert.equal((await ask(own, api, whoAmI)).body, nobody);
		assert.equal((await ask(own, api, register)).body, `{"data":{"register":{"success":true}}}\n`);
		await context.clearCookies();
		assert.equal((await ask(own, api, login)).body, `{"data":{"tokenAuth":{"success":true}}}\n`);
		assert.equal(await own.evaluate(() => document.cookie), "");
		const cookies = await context.cookies(url);
		assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite, c.path, c.domain]).sort(), [
			["JWT", true, "Lax", "/", "localhost"], ["JWT-refresh-token", true, "Lax", "/", "localhost"],
		]);
		await stillIn();
	});

	await check("refreshToken takes its token from the cookie", async () => {
		const before = (await context.cookies(url)).find((c) => c.name === "JWT-refresh-token").value;
		assert.equal((await ask(own, api, "mutation { refreshToken { success } }")).body, `{"data":{"refreshToken":{"success":true}}}\n`);
		assert.notEqual((await context.cookies(url)).find((c) => c.name === "JWT-refresh-token").value, before);
		await stillIn();
	});

	await check("a page of an allowed origin is its user, and reads the answer", async () => {
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

	for (const [name, origin] of [["another port of the site", other], ["another site", elsewhere]]) {
		const page = await open(origin);
		await check(`a page of ${name} reads and changes nothing by fetch`, async () => {
			for (const request of [{}, { headers: { "Content-Type": "text/plain" } }, { method: "GET", body: undefined, headers: {} }]) {
				assert.equal((await ask(page, api, whoAmI, { request })).failure, "TypeError");
				assert.equal((await ask(page, api, forget, { request })).failure, "TypeError");
			}
			const blind = await ask(page, api, forget, { request: { mode: "no-cors", headers: { "Content-Type": "text/plain" } } });
			assert.deepEqual([blind.type, blind.status, blind.body], ["opaque", 0, ""]);
			assert.equal((await cookieNames()).length, 2);
			await stillIn();
		});

		await check(`a page of ${name} changes nothing by a form`, async () => {
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

		await check(`a link on a page of ${name} asks as nobody, though the browser sends the cookies`, async () => {
			const link = await open(origin);
			const [answer] = await Promise.all([
				link.waitForNavigation(),
				link.evaluate((href) => { location.href = href; }, `${api}?query=${encodeURIComponent(whoAmI)}`),
			]);
			assert.match((await answer.request().allHeaders()).cookie, /JWT=/);
			assert.equal(await answer.text(), nobody);
		});
	}

	await check("logout takes the cookies away", async () => {
		const { JWT: old } = Object.fromEntries((await context.cookies(url)).map((c) => [c.name, c.value]));
		assert.equal((await ask(own, api, "mutation { revokeToken { success } }")).body, `{"data":{"revokeToken":{"success":true}}}\n`);
		assert.deepEqual(await cookieNames(), []);
		assert.equal((await ask(own, api, whoAmI)).body, nobody);
		assert.equal((await ask(own, api, whoAmI, { headers: { Authorization: `JWT ${old}` } })).body, nobody);
	});

	await check("Secure cookies with the prefix __Host- are kept, and hidden tokens are in no payload", async () => {
		const url = await accountd("host", {
			ACCOUNTD_TOKENS_COOKIES_ENABLED: "true", ACCOUNTD_TOKENS_COOKIES_SECURE: "true", ACCOUNTD_TOKENS_COOKIES_SAME_SITE: "Strict",
			ACCOUNTD_TOKENS_COOKIES_HIDE_TOKEN_FIELDS: "true",
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
	});
}

const browser = await launch();
try {
	await main(browser);
} finally {
	await browser.close();
}
process.exit(0); // the servers of pages would go on
