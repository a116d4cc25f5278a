// Before the first paint: the theme that was chosen last time. Not a module, since those wait for the page.
(() => {
    try {
        const theme = JSON.parse(localStorage.getItem("soundkin.theme"));
        if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    } catch {
        // nothing is remembered: the system's choice it is
    }
})();
