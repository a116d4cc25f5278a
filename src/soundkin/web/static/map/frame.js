// The map's own document. Its script needs `unsafe-eval`, so it is kept apart, in a sandbox without the page's rights,
// and knows no more than coordinates and colours: everything else stays outside and comes and goes as messages.
//
// Plotly draws the points and finds those under the pointer. Moving and zooming only shift and scale the picture that
// is there; it is drawn anew when that ends. So it is smooth with any number of points, without a graphics card too.
"use strict";

(() => {
    const plot = document.getElementById("plot");
    const tell = (message) => parent.postMessage(message, "*"); // a sandboxed document has no origin of its own to name
    const MARGIN = 0.15; // of the frame's size, on each side: see frame.css
    const SETTLE = 160; // ms without a turn of the wheel after which the map is drawn anew
    const CLICK = 6; // pixels that a click may be off
    let data = null; // {x, y, group, colours, size}
    let places = []; // of each trace: which points of the whole it draws
    let marked = -1;
    let mode = "pan";
    let only = -1;
    let own = false; // has somebody moved or zoomed?
    let drawings = 0; // how many maps there were: a selection belongs to one
    let view = null; // {x, y, scale}: what is in the middle, and units a pixel
    let shift = { k: 1, x: 0, y: 0 }; // how the picture is scaled and moved since it was drawn

    // --- drawing ---

    function traces() {
        const { x, y, group, colours, size } = data;
        const opacity = x.length > 20000 ? 0.7 : 0.85;
        const byGroup = colours.map(() => []);
        for (let i = 0; i < x.length; i += 1) byGroup[group[i]].push(i);
        const order = colours.map((_, g) => g).reverse(); // the last group, all others, lies beneath
        places = order.map((g) => byGroup[g]);
        const drawn = order.map((g) => ({
            type: "scattergl",
            mode: "markers",
            x: Float32Array.from(byGroup[g], (i) => x[i]),
            y: Float32Array.from(byGroup[g], (i) => y[i]),
            marker: { color: colours[g], size, opacity: only < 0 || only === g ? opacity : 0.07, line: { width: 0 } },
            selected: { marker: { opacity: 1 } },
            unselected: { marker: { opacity: 0.12 } },
            hoverinfo: only < 0 || only === g ? "none" : "skip",
        }));
        const ring = { symbol: "circle-open", color: data.ink, size: 18, line: { width: 3 } };
        drawn.push({ type: "scattergl", mode: "markers", hoverinfo: "skip", ...markedPlace(), marker: ring });
        return drawn;
    }

    const markedPlace = () => (marked < 0 ? { x: [], y: [] } : { x: [data.x[marked]], y: [data.y[marked]] });

    function ranges() {
        const [width, height] = [(plot.offsetWidth / 2) * view.scale, (plot.offsetHeight / 2) * view.scale];
        return { x: [view.x - width, view.x + width], y: [view.y - height, view.y + height] };
    }

    function layout() {
        const axis = { visible: false, showgrid: false, zeroline: false };
        const { x, y } = ranges();
        return {
            width: plot.offsetWidth,
            height: plot.offsetHeight,
            margin: { l: 0, r: 0, t: 0, b: 0 },
            showlegend: false,
            hovermode: "closest",
            hoverdistance: 14,
            dragmode: mode === "lasso" ? "lasso" : false,
            paper_bgcolor: "rgba(0,0,0,0)",
            plot_bgcolor: "rgba(0,0,0,0)",
            selectionrevision: drawings,
            xaxis: { ...axis, range: x },
            yaxis: { ...axis, range: y },
            newselection: { line: { color: data.ink, width: 1.5, dash: "dot" } },
        };
    }

    /** All points, within what is seen. */
    function fit() {
        const ends = (values) => {
            let [least, most] = [Infinity, -Infinity];
            for (const value of values) {
                least = Math.min(least, value);
                most = Math.max(most, value);
            }
            return [least, most];
        };
        const [[left, right], [low, high]] = [ends(data.x), ends(data.y)];
        const [width, height] = [Math.max(1, window.innerWidth), Math.max(1, window.innerHeight)];
        const scale = 1.12 * Math.max((right - left) / width, (high - low) / height);
        own = false;
        view = { x: (left + right) / 2, y: (low + high) / 2, scale: scale || 1 };
    }

    const indexOf = (point) => places[point.curveNumber]?.[point.pointNumber] ?? -1;

    async function draw() {
        const before = Boolean(plot.data);
        const config = { displayModeBar: false, scrollZoom: false, doubleClick: false, showTips: false };
        await Plotly.react(plot, traces(), layout(), config);
        const rings = plot.layout.selections ?? [];
        if (rings.some((ring) => ring.line?.color !== data.ink)) {
            const line = layout().newselection.line; // in the colours of now
            await Plotly.relayout(plot, { selections: rings.map((ring) => ({ ...ring, line })) });
        }
        if (before) return;
        plot.on("plotly_hover", ({ points, event }) => {
            tell({ type: "hover", index: indexOf(points[0]), x: event.clientX, y: event.clientY });
        });
        plot.on("plotly_unhover", () => tell({ type: "hover", index: -1 }));
        plot.on("plotly_click", ({ points }) => moved < CLICK && tell({ type: "click", index: indexOf(points[0]) }));
        plot.on("plotly_selected", (event) => {
            if (event)
                tell({ type: "selected", points: Int32Array.from(event.points.map(indexOf).filter((i) => i >= 0)) });
        });
        plot.on("plotly_deselect", () => tell({ type: "selected", points: new Int32Array(0) }));
        tell({ type: "drawn" });
    }

    // --- moving and zooming ---

    let timer = 0;

    /** Scale the picture by `k` around a place of the frame, in pixels, and move it. */
    function change(k, x, y, dx = 0, dy = 0) {
        own = true;
        const [px, py] = [x + MARGIN * window.innerWidth, y + MARGIN * window.innerHeight];
        shift = { k: shift.k * k, x: px + k * (shift.x - px) + dx, y: py + k * (shift.y - py) + dy };
        plot.style.transform = `translate(${shift.x}px, ${shift.y}px) scale(${shift.k})`;
    }

    /** Draw what is seen now. */
    async function settle() {
        window.clearTimeout(timer);
        if (!view || (shift.k === 1 && !shift.x && !shift.y)) return;
        const [middleX, middleY] = [plot.offsetWidth / 2, plot.offsetHeight / 2];
        view = {
            x: view.x + ((middleX - shift.x) / shift.k - middleX) * view.scale,
            y: view.y - ((middleY - shift.y) / shift.k - middleY) * view.scale,
            scale: view.scale / shift.k,
        };
        await show();
    }

    async function show() {
        shift = { k: 1, x: 0, y: 0 };
        const { x, y } = ranges();
        const drawn = Plotly.relayout(plot, { "xaxis.range": x, "yaxis.range": y });
        plot.style.transform = "";
        await drawn;
    }

    const later = () => {
        window.clearTimeout(timer);
        timer = window.setTimeout(settle, SETTLE);
    };

    const fingers = new Map();
    let moved = 0; // pixels since the first finger came down
    plot.addEventListener("pointerdown", (event) => {
        if (!fingers.size) moved = 0;
        if (mode === "pan" && event.button === 0) fingers.set(event.pointerId, event);
    });
    window.addEventListener("pointermove", (event) => {
        const before = fingers.get(event.pointerId);
        if (!before || !data) return;
        fingers.set(event.pointerId, event);
        const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
        moved += Math.abs(dx) + Math.abs(dy);
        const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
        if (other) {
            const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
            change(far(event) / far(before), other.clientX, other.clientY);
        } else change(1, 0, 0, dx, dy);
    });
    // Plotly need not look for what is under a pointer that drags
    window.addEventListener("mousemove", (event) => fingers.size && event.stopPropagation(), { capture: true });
    for (const name of ["pointerup", "pointercancel"]) {
        window.addEventListener(name, (event) => {
            if (fingers.delete(event.pointerId) && !fingers.size) void settle();
        });
    }
    plot.addEventListener(
        "wheel",
        (event) => {
            event.preventDefault();
            if (!data) return;
            change(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), event.clientX, event.clientY);
            later();
        },
        { passive: false },
    );
    plot.addEventListener("dblclick", () => work.zoom({ by: 0 }));
    window.addEventListener("resize", () => {
        if (!data) return;
        if (!own) fit();
        void Plotly.relayout(plot, { width: plot.offsetWidth, height: plot.offsetHeight }).then(show);
    });

    // --- what the page asks for ---

    const work = {
        draw(message) {
            const first = data === null;
            data = message;
            marked = message.marked;
            only = -1;
            if (first || message.fit) {
                fit();
                drawings += 1;
                plot.style.transform = "";
                shift = { k: 1, x: 0, y: 0 };
            }
            void draw();
        },
        mark({ index }) {
            marked = index;
            const { x, y } = data ? markedPlace() : {};
            if (data) void Plotly.restyle(plot, { x: [x], y: [y] }, [places.length]);
        },
        only({ group }) {
            only = group;
            if (data) void draw();
        },
        mode(message) {
            mode = message.mode;
            if (mode === "lasso") plot.classList.add("selecting");
            if (data) void Plotly.relayout(plot, { dragmode: mode === "lasso" ? "lasso" : false });
        },
        clear() {
            const bare = () => Plotly.relayout(plot, { selections: [] });
            plot.classList.toggle("selecting", mode === "lasso");
            if (data) void Plotly.restyle(plot, { selectedpoints: [null] }).then(bare);
        },
        zoom({ by }) {
            if (!data) return;
            if (by) view = { ...view, scale: view.scale * by };
            else fit();
            void show();
        },
    };

    window.addEventListener("message", (event) => {
        if (event.source !== parent || typeof event.data?.type !== "string") return;
        if (Object.hasOwn(work, event.data.type)) work[event.data.type](event.data);
    });

    const able = typeof Plotly === "object" && document.createElement("canvas").getContext("webgl");
    tell({ type: able ? "ready" : "failed" });
})();
