// What the steps start, and what ends with them: Chromium, and servers that keep nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// browser is Debian's Chromium, or the one that CHROMIUM names, without what it would ask the network for by itself.
export function browser() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
}

// ephemeral starts `accountd serve --ephemeral`, and gives its line and what stops it.
export async function ephemeral(dir) {
	const server = spawn(join(dir, "accountd"), ["serve", "--ephemeral"], { cwd: dir, stdio: ["pipe", "pipe", "ignore"] });
	process.on("exit", () => server.kill());
	const [line] = await once(createInterface({ input: server.stdout }), "line");
	return { ...JSON.parse(line), stop: () => server.kill() && once(server, "exit") };
}

// complaintsOf is a list that grows with what a page complains of: errors of scripts, and what a policy stops.
export function complaintsOf(page, expected) {
	const complaints = [];
	page.on("console", (message) => message.type() === "error" && !expected?.test(message.text()) && complaints.push(message.text()));
	page.on("pageerror", (failure) => complaints.push(String(failure)));
	return complaints;
}
