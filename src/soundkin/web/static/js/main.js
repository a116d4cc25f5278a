// The page, put together.

import { loginNeeded } from "./api.js";
import { takeDrops } from "./drop.js";
import { takeKeys } from "./keys.js";
import { joinSystem } from "./mediasession.js";
import { player } from "./player.js";
import { buildPlayerBar } from "./playerbar.js";
import { navigate, start } from "./router.js";
import { buildShell } from "./shell.js";

buildShell();
buildPlayerBar();
joinSystem();
takeKeys();
takeDrops();

loginNeeded.addEventListener("needed", () => {
    if (location.pathname === "/login") return;
    const back = location.pathname + location.search;
    void navigate(`/login?to=${encodeURIComponent(back)}`, { replace: true });
});

void start();
void player.restore();
