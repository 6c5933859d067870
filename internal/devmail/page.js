// Keeps the list fresh, and shows times as they are here. Only the list is replaced: an open mail stays as it is.
const local = () => {
  for (const time of document.querySelectorAll('time')) {
    time.textContent = new Date(time.dateTime).toLocaleString();
  }
};

let shown = document.getElementById('list').outerHTML;
const refresh = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.pathname, { cache: 'no-store' });
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('list');
    if (!fresh || fresh.outerHTML === shown) return;
    shown = fresh.outerHTML;
    document.getElementById('list').replaceWith(fresh);
    local();
  } catch {
    // The server is away, perhaps to come back: the page stays.
  }
};

local();
setInterval(refresh, 2000);
document.addEventListener('visibilitychange', refresh);
