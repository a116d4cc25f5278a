// Login, where the service asks for a password.

import * as api from "../api.js";
import { el, refill } from "../dom.js";
import { navigate } from "../router.js";
import { S } from "../strings.js";

export function render({ root, query, title }) {
    title(S.logIn);
    const input = el("input", {
        type: "password",
        class: "field",
        name: "password",
        required: true,
        autocomplete: "current-password",
    });
    const problem = el("p", { class: "form-problem", role: "alert" });
    const button = el("button", { type: "submit", class: "button primary" }, S.logIn);
    const submit = async (event) => {
        event.preventDefault();
        button.disabled = true;
        problem.textContent = "";
        try {
            await api.post("/login", { password: input.value });
            const to = query.get("to") ?? "/";
            await navigate(/^\/(?![/\\])/.test(to) ? to : "/", { replace: true }); // only ever within this page
        } catch (error) {
            problem.textContent = error.message;
            input.select();
        } finally {
            button.disabled = false;
        }
    };
    refill(
        root,
        el(
            "form",
            { class: "login", on: { submit } },
            el("h1", {}, S.loginTitle),
            el("p", { class: "lead" }, S.loginText),
            el("input", {
                type: "text",
                name: "username",
                value: S.name,
                autocomplete: "username",
                class: "unseen",
                tabindex: "-1",
                "aria-hidden": "true",
                readonly: true,
            }),
            el("label", { class: "labelled" }, el("span", {}, S.password), input),
            problem,
            button,
        ),
    );
    input.focus();
}
