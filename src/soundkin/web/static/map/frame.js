// The map's own document. Its script needs `unsafe-eval`, so it is kept apart, in a sandbox without the page's rights,
// and knows no more than coordinates and colours: everything else stays outside and comes and goes as messages.
"use strict";

(() => {
    const plot = document.getElementById("plot");
    const tell = (message) => parent.postMessage(message, "*"); // a sandboxed document has no origin of its own to name
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: "reset", responsive: true, showTips: false };
    let data = null; // {x, y, group, colours, size}
    let places = []; // of each trace: which points of the whole it draws
    let marked = -1;
    let mode = "pan";
    let only = -1;

    function traces() {
        const { x, y, group, colours, size } = data;
        places = colours.map(() => []);
        for (let i = 0; i < x.length; i += 1) places[group[i]].push(i);
        const drawn = places.map((points, g) => ({
            type: "scattergl",
            mode: "markers",
            x: Float32Array.from(points, (i) => x[i]),
            y: Float32Array.from(points, (i) => y[i]),
            marker: {
                color: colours[g],
                size,
                opacity: only < 0 || only === g ? (x.length > 20000 ? 0.7 : 0.85) : 0.07,
                line: { width: 0 },
            },
            selected: { marker: { opacity: 1 } },
            unselected: { marker: { opacity: 0.12 } },
            hoverinfo: only < 0 || only === g ? "none" : "skip",
        }));
        const here = marked >= 0;
        drawn.push({
            type: "scattergl",
            mode: "markers",
            hoverinfo: "skip",
            x: here ? [x[marked]] : [],
            y: here ? [y[marked]] : [],
            marker: { symbol: "circle-open", color: data.ink, size: 18, line: { width: 3 } },
        });
        return drawn;
    }

    function layout() {
        const axis = { visible: false, showgrid: false, zeroline: false, fixedrange: false };
        return {
            autosize: true,
            margin: { l: 0, r: 0, t: 0, b: 0 },
            showlegend: false,
            hovermode: "closest",
            hoverdistance: 14,
            dragmode: mode,
            paper_bgcolor: "rgba(0,0,0,0)",
            plot_bgcolor: "rgba(0,0,0,0)",
            uirevision: "same",
            selectionrevision: "same",
            xaxis: { ...axis },
            yaxis: { ...axis, scaleanchor: "x" },
            newselection: { line: { color: data.ink, width: 1.5, dash: "dot" } },
        };
    }

    const indexOf = (point) => places[point.curveNumber]?.[point.pointNumber] ?? -1;

    async function draw() {
        const before = Boolean(plot.data);
        await Plotly.react(plot, traces(), layout(), config);
        if (before) return;
        plot.on("plotly_hover", ({ points, event }) => {
            const index = indexOf(points[0]);
            plot.querySelector(".nsewdrag").style.cursor = "pointer";
            tell({ type: "hover", index, x: event.clientX, y: event.clientY });
        });
        plot.on("plotly_unhover", () => {
            plot.querySelector(".nsewdrag").style.cursor = "";
            tell({ type: "hover", index: -1 });
        });
        plot.on("plotly_click", ({ points }) => tell({ type: "click", index: indexOf(points[0]) }));
        plot.on(
            "plotly_selected",
            (event) =>
                event &&
                tell({ type: "selected", points: Int32Array.from(event.points.map(indexOf).filter((i) => i >= 0)) }),
        );
        plot.on("plotly_deselect", () => tell({ type: "selected", points: new Int32Array(0) }));
        tell({ type: "drawn" });
    }

    function zoom(by) {
        const change = {};
        for (const name of ["xaxis", "yaxis"]) {
            const [a, b] = plot.layout[name].range;
            const [middle, half] = [(a + b) / 2, ((b - a) / 2) * by];
            change[`${name}.range`] = [middle - half, middle + half];
        }
        void Plotly.relayout(plot, change);
    }

    const work = {
        draw(message) {
            data = message;
            marked = message.marked;
            only = -1;
            void draw();
        },
        mark({ index }) {
            marked = index;
            if (data)
                void Plotly.restyle(
                    plot,
                    { x: [index < 0 ? [] : [data.x[index]]], y: [index < 0 ? [] : [data.y[index]]] },
                    [places.length],
                );
        },
        only({ group }) {
            only = group;
            if (data) void draw();
        },
        mode(message) {
            mode = message.mode;
            if (data) void Plotly.relayout(plot, { dragmode: mode });
        },
        clear() {
            if (data)
                void Plotly.restyle(plot, { selectedpoints: [null] }).then(() =>
                    Plotly.relayout(plot, { selections: [] }),
                );
        },
        zoom: ({ by }) =>
            data && (by ? zoom(by) : void Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": true })),
    };

    window.addEventListener("message", (event) => {
        if (event.source !== parent || typeof event.data?.type !== "string") return;
        if (Object.hasOwn(work, event.data.type)) work[event.data.type](event.data);
    });

    const able = typeof Plotly === "object" && document.createElement("canvas").getContext("webgl");
    tell({ type: able ? "ready" : "failed" });
})();
