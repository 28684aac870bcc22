// The console page. It is opened with a token that is good once, and shows a key of its own from then on; every websocket
// gets a token of its own.
import { Terminal } from "@xterm/xterm";
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import RFB from "@novnc/novnc";

const $ = (id) => document.getElementById(id);
const base = new URL(".", location.href);
const stored = "ingot.console";
let key = "";

async function call(method, path, body) {
  const response = await fetch(new URL("api/" + path, base), {
    method, body: body && JSON.stringify(body), headers: key ? { Authorization: "Bearer " + key } : {},
  });
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    const error = new Error(answer.error || "The console does not answer: " + response.status + ".");
    error.over = response.status === 401 || response.status === 404;
    throw error;
  }
  return response;
}

const ask = async (method, path, body) => (await call(method, path, body)).json();

function alarm(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

// login uses the token in the address up and takes it out of there. A reloaded page has only the key that it kept.
async function login() {
  const query = new URLSearchParams(location.search);
  const path = query.get("path") || location.search;
  const token = new URLSearchParams(path.slice(path.indexOf("?") + 1)).get("token") || "";
  history.replaceState(null, "", location.pathname);
  const kept = JSON.parse(sessionStorage.getItem(stored) || "null");
  if (kept && (!token || kept.token === token)) {
    key = kept.key;
    return kept.first;
  }
  const session = await ask("POST", "session", { token });
  key = session.key;
  sessionStorage.setItem(stored, JSON.stringify({ key, token, first: session.first }));
  return session.first;
}

async function socketURL(kind) {
  const { token } = await ask("POST", "token", { kind });
  const url = new URL("ws?token=" + encodeURIComponent(token), base);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

// The serial line.
const terminal = new Terminal({ cursorBlink: true, scrollback: 20000, fontSize: 13, fontFamily: "ui-monospace, Menlo, Consolas, monospace", theme: { background: "#0c0d10" } });
const fit = new FitAddon();
const search = new SearchAddon();
let line = null;

function openTerminal() {
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.open($("terminal"));
  new ResizeObserver(() => $("terminal").offsetParent && fit.fit()).observe($("terminal"));
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type === "keydown" && event.ctrlKey && event.key === "F6") {
      $("find").focus();
      event.preventDefault();
      return false;
    }
    return true;
  });
  const encoder = new TextEncoder();
  terminal.onData((text) => send(encoder.encode(text)));
  terminal.onBinary((text) => send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
}

function send(bytes) {
  if (line && line.readyState === WebSocket.OPEN) line.send(bytes);
}

const say = (text) => terminal.write("\r\n\x1b[7m ingot \x1b[27m " + text + "\r\n");

function status(now) {
  alarm(now.away ? "The serial console is out of reach: " + now.away + "." : "");
  $("take").hidden = now.mine || !now.keyboard;
  const who = now.mine ? "You have the keyboard" : now.keyboard ? now.keyboard + " has the keyboard" : "Whoever types first has the keyboard";
  $("keyboard").textContent = who + (now.viewers > 1 ? " · " + now.viewers + " watch" : "");
}

async function connectSerial(pause = 1000) {
  let next = pause;
  try {
    const socket = new WebSocket(await socketURL("serial"), ["ingot"]);
    socket.binaryType = "arraybuffer";
    line = socket;
    socket.onopen = () => { next = 1000; terminal.reset(); };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return terminal.write(new Uint8Array(data));
      const message = JSON.parse(data);
      if (message.status) status(message.status);
      if (message.say) say(message.say);
    };
    await new Promise((resolve) => { socket.onclose = resolve; });
    $("keyboard").textContent = "not connected; trying again";
  } catch (error) {
    alarm(error.message);
    if (error.over) return;
  }
  setTimeout(() => connectSerial(Math.min(2 * next, 10000)), next);
}

// The picture.
let rfb = null;

async function connectScreen() {
  if (rfb) return;
  $("picture").textContent = "connecting";
  try {
    rfb = new RFB($("rfb"), await socketURL("screen"), { shared: true, wsProtocols: ["binary"] });
    rfb.scaleViewport = true;
    rfb.background = terminal.options.theme.background;
    rfb.addEventListener("connect", () => { $("picture").textContent = "connected"; });
    rfb.addEventListener("disconnect", () => { rfb = null; $("picture").textContent = "no picture: the machine is off or has none. Choose Screen to try again."; });
  } catch (error) {
    rfb = null;
    $("picture").textContent = error.message;
  }
}

function show(view) {
  document.querySelector("main").dataset.view = view;
  for (const button of document.querySelectorAll("#views button")) button.setAttribute("aria-pressed", button.dataset.view === view);
  if (view !== "serial") connectScreen();
}

// What the machine's boots say.
const seconds = (nanoseconds) => (nanoseconds / 1e9).toFixed(1) + " s";

function element(name, text, ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

function showBoots({ boots }) {
  const boot = boots && boots[boots.length - 1];
  $("boot").hidden = !boot;
  if (!boot) return;
  $("when").textContent = new Date(boot.began).toLocaleString() + (boot.good ? " · came up" : "");
  $("timeline").replaceChildren(...boot.phases.map((phase, n) => {
    const last = n === boot.phases.length - 1;
    const item = element("li", phase.phase, element("b", last ? (boot.good ? "reached" : "now") : seconds(phase.took)));
    if (phase.usual) item.append(element("small", "last good boot " + seconds(phase.usual)));
    if (phase.usual && phase.took > 2 * phase.usual && phase.took - phase.usual > 2e9) item.className = "slow";
    return item;
  }));
  $("findings").replaceChildren(...(boot.findings || []).filter((found) => !found.passed).map((found) => {
    const item = element("div", "", element("strong", found.says), element("p", found.do), element("code", found.line));
    item.className = "finding";
    return item;
  }));
}

async function look() {
  if (!document.hidden) {
    try {
      const server = await ask("GET", "state");
      $("name").textContent = document.title = server.name;
      $("state").textContent = (server.task || server.status).toLowerCase() + " · power " + server.power;
      showBoots(await ask("GET", "boots"));
    } catch (error) {
      alarm(error.message);
      if (error.over) return;
    }
  }
  setTimeout(look, 5000);
}

// question asks before what cannot be undone, and for the text to paste.
function question(text, paste) {
  $("question").textContent = text;
  $("text").hidden = paste === undefined;
  $("text").value = paste || "";
  $("yes").textContent = paste === undefined ? "Yes" : "Type it";
  $("ask").returnValue = "";
  $("ask").showModal();
  return new Promise((resolve) => { $("ask").onclose = () => resolve($("ask").returnValue === "yes"); });
}

async function tried(action) {
  try {
    alarm("");
    await action();
  } catch (error) {
    alarm(error.message);
  }
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: $("name").textContent + name }).click();
  URL.revokeObjectURL(url);
}

// screenshot is taken by ingot from the BMC, whether this page is connected to the screen or not.
async function screenshot() {
  const response = await call("GET", "screenshot");
  if (response.headers.get("Ingot-Screen-Black")) alarm("The screen is black: it is blanked, or the machine shows nothing.");
  return response.blob();
}

function buttons() {
  for (const button of document.querySelectorAll("[data-button]")) {
    button.onclick = async () => {
      if (button.dataset.ask && !await question(button.dataset.ask)) return;
      try {
        await ask("POST", "power", { button: button.dataset.button });
        alarm("");
      } catch (error) {
        alarm(error.message);
      }
    };
  }
  for (const button of document.querySelectorAll("#views button")) button.onclick = () => show(button.dataset.view);
  $("take").onclick = () => { line.send(JSON.stringify({ order: "take" })); terminal.focus(); };
  $("find").oninput = () => search.findPrevious($("find").value, { incremental: true });
  $("find").onkeydown = (event) => {
    if (event.key === "Enter") event.shiftKey ? search.findNext($("find").value) : search.findPrevious($("find").value);
    if (event.key === "Escape") terminal.focus();
  };
  $("copy").onclick = async () => {
    const marked = terminal.getSelection();
    if (!marked) terminal.selectAll();
    try {
      await navigator.clipboard.writeText(marked || terminal.getSelection());
    } catch { // a frame may not have the permission; the marked text can be copied by hand
      alarm("The browser does not let this page copy; the text is marked, press Ctrl+C.");
      return;
    }
    if (!marked) terminal.clearSelection();
  };
  $("paste").onclick = async () => {
    const text = await navigator.clipboard.readText().catch(() => "");
    if (await question("This is typed on the machine's serial console:", text)) send(new TextEncoder().encode($("text").value.replaceAll("\n", "\r")));
    terminal.focus();
  };
  $("download").onclick = () => tried(async () => save(await (await call("GET", "log")).blob(), "-console.log"));
  $("shot").onclick = () => tried(async () => save(await screenshot(), "-screen.png"));
  $("copyshot").onclick = () => tried(async () => {
    // The promise goes into the item: browsers allow copying only while the click is fresh.
    const picture = screenshot();
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]).catch(async () => {
      await picture; // its own error first
      throw new Error("The browser does not let this page copy; download the picture.");
    });
  });
  $("cad").onclick = () => rfb && rfb.sendCtrlAltDel();
  $("theme").onclick = () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || !document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  };
}

try {
  buttons();
  openTerminal();
  const first = await login();
  if (first === "screen" && innerWidth > 1000) show("both");
  fit.fit();
  connectSerial();
  look();
  terminal.focus();
} catch (error) {
  alarm(error.message);
  $("state").textContent = "not connected";
}
