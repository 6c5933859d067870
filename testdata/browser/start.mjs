// Shared code of the programs in this folder, in addition to that of testdata/clients: Chromium, pages of other origins,
// and requests from a page.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { ran, start } from "../clients/accountd.mjs";

// Debian's Chromium, or the one that CHROMIUM names, without its background requests. Names below example resolve to this
// machine: a browser treats them as other sites.
const launch = {
	executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
	args: [
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--host-resolver-rules=MAP *.example 127.0.0.1",
	],
};

export async function browser() {
	const browser = await chromium.launch(launch);
	console.error(`${process.argv[1]}: Chromium ${browser.version()}`);
	return browser;
}

// thirdParty is another browser, which allows third-party cookies; the contexts of browser do not. Its profile stays in
// TMPDIR.
export async function thirdParty() {
	const profile = await mkdtemp(join(tmpdir(), "accountd-browser-"));
	await mkdir(join(profile, "Default"));
	await writeFile(join(profile, "Default", "Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0 } }));
	return chromium.launchPersistentContext(profile, launch);
}

// pages serves empty pages, and returns the port.
export async function pages() {
	const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>page</title>"));
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	server.unref();
	return server.address().port;
}

// cookieMode starts a server that keeps tokens in cookies.
export function cookieMode(settings) {
	return start({ ACCOUNTD_TOKENS_COOKIES_ENABLED: "true", ...settings });
}

// ask posts a query from a page, and returns status, body and readable headers, or the name of the failure.
export function ask(page, url, query, init = {}) {
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

// complaintsOf returns a list to which errors of scripts and violations of policies on a page are added.
export function complaintsOf(page, expected) {
	const complaints = [];
	page.on("console", (message) => message.type() === "error" && !expected?.test(message.text()) && complaints.push(message.text()));
	page.on("pageerror", (failure) => complaints.push(String(failure)));
	return complaints;
}

// row prints a line for list.mjs. Debian updates Chromium, so the version is that of playwright-core.
export function row(name) {
	const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url), "utf8"));
	ran(`Chromium: ${name}`, `playwright-core ${packages["node_modules/playwright-core"].version}`);
}
