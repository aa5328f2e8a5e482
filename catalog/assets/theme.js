// Before anything is painted: the theme that was chosen here the last time.
(() => {
  try {
    const theme = localStorage.getItem("celerysalt-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be off limits; then the system's setting counts.
  }
})();
