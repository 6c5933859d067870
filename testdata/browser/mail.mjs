// The page /dev/mail in a browser: mails show up by themselves, are shown in their frame, their links open, and nothing in
// one runs. The variable ACCOUNTD is the binary.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { start, step } from "../clients/accountd.mjs";
import { browser as launch, complaintsOf, row } from "./start.mjs";

const { graphql, mail, data_dir: data, url, stop } = await start();
const browser = await launch();
const page = await browser.newPage();
const complaints = complaintsOf(page, /^Blocked script execution in 'about:srcdoc'/); // the script by which Playwright inspects the frame

await step("a mail shows up and its link opens", async () => {
	await page.goto(mail);
	await page.getByText("No mail yet").waitFor();
	const query = 'mutation { register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: "quiet-otter-42") { success } }';
	await fetch(graphql, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query }) });
	await page.locator("#list").getByText("ada@example.com").click(); // once the page has found it

	const [{ link, token }] = await (await fetch(`${mail}.json`)).json();
	assert.equal(await page.getByText("Follow the link", { exact: true }).getAttribute("href"), link);
	assert.equal(await page.locator(".token code").innerText(), token);
	const button = page.frameLocator("iframe").getByText("Activate the account", { exact: true });
	await button.waitFor();
	assert.equal(await button.evaluate((node) => getComputedStyle(node).backgroundColor), "rgb(43, 91, 208)"); // styles apply
	const [opened] = await Promise.all([page.context().waitForEvent("page"), button.click()]);
	await opened.waitForURL(link);
	assert.equal(await opened.evaluate(() => window.opener), null);
	assert.deepEqual(complaints, []);
});

await step("raw", async () => {
	await page.getByText("Raw", { exact: true }).click();
	assert.match(await page.locator("pre.raw").innerText(), /^Auto-Submitted: auto-generated/);
});

await step("nothing in a mail runs or is loaded", async () => {
	await writeFile(join(data, "spool", "new", "9999999999999999.A.eml"), [
		"To: eve@example.com", "Subject: </title><script>top.hacked = 1</script>", "Content-Type: text/html", "",
		`<script>top.hacked = 1</script><img src="${url}/livez" onerror="top.hacked = 1"><a href="javascript:top.hacked = 1">go</a><p>end</p>`,
	].join("\r\n"));
	const loaded = [];
	page.on("requestfinished", (request) => loaded.push(new URL(request.url()).pathname));
	await page.locator("#list").getByText("eve@example.com").click();
	await page.frameLocator("iframe").getByText("end", { exact: true }).waitFor();
	await page.frameLocator("iframe").getByText("go", { exact: true }).click();
	await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
	assert.equal(await page.evaluate(() => window.hacked), undefined);
	assert.ok(!loaded.includes("/livez"), "a mail loads what it likes");
});

await browser.close();
await stop();
row("/dev/mail");
