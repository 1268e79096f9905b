// Before the first paint: the choice of last time, or else what the system prefers.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function isDark() {
  const theme = chosen();
  return theme ? theme === "dark" : system.matches;
}

function show() {
  root.dataset.theme = isDark() ? "dark" : "light";
  const button = document.getElementById("theme");
  if (button) button.textContent = isDark() ? "Light" : "Dark";
}

show();
system.addEventListener("change", show);
addEventListener("DOMContentLoaded", () => {
  show();
  document.getElementById("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Nothing is remembered where nothing may be stored.
    }
    root.dataset.theme = theme;
    document.getElementById("theme").textContent = theme === "dark" ? "Light" : "Dark";
  });
});
