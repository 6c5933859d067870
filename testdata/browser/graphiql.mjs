// The tour of GraphiQL: the steps on its tabs, one by one, in both flavours of the API, with the mail read at /dev/mail.
// The assertions concern only what the page shows. The variable ACCOUNTD is the binary.
import assert from "node:assert/strict";
import { start, step } from "../clients/accountd.mjs";
import { browser as launch, complaintsOf, row } from "./start.mjs";

const browser = await launch();
const tabs = ["Register", "Verify", "LogIn", "Me", "Refresh", "LogOut"];

// texts are the lines of an editor, which may indent by no-break spaces.
async function texts(editor) {
	return (await editor.locator(".CodeMirror-line").allInnerTexts()).join("\n").replaceAll("\u00a0", " ");
}

// Tour is the conversation on one page.
class Tour {
	constructor(page) {
		this.page = page;
		this.editor = page.getByLabel("Query Editor");
		this.headers = page.getByLabel("Headers").locator(".CodeMirror");
		this.result = page.getByLabel("Result Window");
	}

	// open shows a step, and waits until the button would send it.
	async open(name) {
		await this.page.locator(".graphiql-tab-button", { hasText: new RegExp(`^${name}$`) }).click();
		await this.page.waitForFunction((name) => document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror.operationName === name, name);
	}

	// shown returns the response on the page, or null until it is complete.
	async shown() {
		try {
			return JSON.parse(await texts(this.result));
		} catch {
			return null;
		}
	}

	// send presses the button, waits for the response and returns it.
	async send() {
		const [answer] = await Promise.all([this.page.waitForResponse((r) => r.request().method() === "POST"), this.page.getByLabel(/^Execute query/).click()]);
		const want = JSON.stringify(await answer.json());
		for (let frames = 0; frames < 600; frames++) {
			const shown = await this.shown();
			if (JSON.stringify(shown) === want) return shown.data;
			await this.page.evaluate(() => new Promise(requestAnimationFrame));
		}
		assert.fail(`the page does not show ${want}, but ${JSON.stringify(await this.shown())}`);
	}

	// paste puts text between the only empty quotes of the step.
	async paste(text) {
		await this.editor.locator(".cm-string", { hasText: /^""$/ }).click();
		await this.page.keyboard.insertText(text);
	}

	// authorize sets the token after JWT in the header.
	async authorize(text) {
		await this.headers.locator(".cm-string", { hasText: /^"JWT/ }).click();
		await this.page.keyboard.press("Home");
		await this.page.keyboard.press("Shift+End");
		await this.page.keyboard.insertText(`"Authorization": "JWT ${text}"`);
		assert.deepEqual(JSON.parse(await texts(this.headers)), { Authorization: `JWT ${text}` });
	}
}

// conversation runs all steps, on the page of one flavour.
async function conversation(flavour) {
	const server = await start();
	const context = await browser.newContext();
	const page = await context.newPage();
	const complaints = complaintsOf(page);
	const tour = new Tour(page);
	let session;

	await step(`${flavour} tour`, async () => {
		await page.goto(`${server.url}/`);
		if (flavour === "Relay") await page.getByText("Relay flavour", { exact: true }).click();
		await page.getByText(flavour === "Relay" ? "plain flavour" : "Relay flavour", { exact: true }).waitFor();
		await page.locator(".graphiql-tab-button").nth(tabs.length - 1).waitFor();
		assert.deepEqual(await page.locator(".graphiql-tab-button").allInnerTexts(), tabs);
		assert.equal(await page.locator(".graphiql-tab-active").innerText(), "Register");
		assert.match(await tour.editor.innerText(), /# The first conversation with accountd/);
	});

	await step("register with tokens", async () => {
		await tour.open("Register");
		await tour.editor.locator(".CodeMirror-line", { hasText: /^ +errors$/ }).click();
		await page.keyboard.press("End");
		await page.keyboard.press("Enter");
		await page.keyboard.type("tok");
		await page.locator(".CodeMirror-hints").getByText("token", { exact: true }).waitFor(); // the schema has been read
		await page.keyboard.press("Enter");
		await page.keyboard.insertText(" refreshToken");
		const { register } = await tour.send();
		assert.deepEqual([register.success, register.errors], [true, null]);
		assert.match(register.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
		assert.match(register.refreshToken, /^[\w-]{46,}$/); // 32 random bytes, after two or more of its place
	});

	await step("mail, verify", async () => {
		await tour.open("Verify");
		const { verifyAccount: blank } = await tour.send();
		assert.deepEqual(blank, { success: false, errors: { nonFieldErrors: [{ message: "Invalid token.", code: "invalid_token" }] } });
		const [mail] = await Promise.all([context.waitForEvent("page"), page.getByText("Mail", { exact: true }).click()]);
		await mail.locator("#list").getByText("Activate your account").click();
		const shown = mail.locator(".token code");
		await shown.click(); // selects all of it
		const token = await mail.evaluate(() => String(getSelection()));
		assert.equal(token, await shown.innerText());
		await mail.close();
		await tour.paste(token);
		assert.deepEqual((await tour.send()).verifyAccount, { success: true, errors: null });
		assert.equal((await tour.send()).verifyAccount.errors.nonFieldErrors[0].code, "already_verified");
	});

	await step("log in", async () => {
		await tour.open("LogIn");
		session = (await tour.send()).tokenAuth;
		assert.deepEqual([session.success, session.errors, session.user.username], [true, null, "ada"]);
	});

	await step("me", async () => {
		await tour.open("Me");
		assert.equal((await tour.send()).me, null);
		await tour.authorize(session.token);
		const { me } = await tour.send();
		assert.deepEqual([me.username, me.email, me.verified], ["ada", "ada@example.com", true]);
	});

	await step("refresh", async () => {
		await tour.open("Refresh");
		await tour.paste(session.refreshToken);
		const { refreshToken: refreshed } = await tour.send();
		assert.deepEqual([refreshed.success, refreshed.errors], [true, null]);
		assert.notEqual(refreshed.refreshToken, session.refreshToken);
		session = refreshed;
		await tour.open("Me");
		await tour.authorize(session.token);
		assert.equal((await tour.send()).me.username, "ada");
	});

	await step("log out", async () => {
		await tour.open("LogOut");
		await tour.paste(session.refreshToken);
		const { revokeToken } = await tour.send();
		assert.deepEqual([revokeToken.success, revokeToken.errors], [true, null]);
		await tour.open("Me");
		assert.equal((await tour.send()).me, null);
	});

	await step("nothing kept for another tab", async () => {
		assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
		const fresh = await context.newPage();
		await fresh.goto(page.url());
		const again = new Tour(fresh);
		await again.open("Refresh");
		assert.equal(await again.editor.locator(".cm-string", { hasText: /^""$/ }).count(), 1);
	});

	assert.deepEqual(complaints, []);
	await context.close();
	await server.stop();
}

try {
	await conversation("plain");
	await conversation("Relay");
} finally {
	await browser.close();
}
row("GraphiQL");
