// Draws the maps of a page with plotly.js: a dot per recording, coloured by the chosen groups; a click plays the clip.
"use strict";
for (const map of document.querySelectorAll(".map")) {
  const points = JSON.parse(map.querySelector("[data-points]").textContent);
  const plot = map.querySelector("[data-plot]");
  const status = map.querySelector("[data-status]");
  const chosen = (name) => map.querySelector(`[data-choose=${name}]`).value;
  const player = new Audio();

  const describe = (i) => {
    const [truth, predicted] = [points.groups["class"][i], points.predicted[i]];
    const verdict = truth === predicted ? "recognised" : `taken for ${predicted}`;
    return `${points.ids[i]}: ${truth}, ${verdict}, ${points.groups.speaker[i]}`;
  };

  const traces = () => {
    const coordinates = points.projections[chosen("projection")];
    const group = points.groups[chosen("group")];
    const names = [...new Set(group)].sort(new Intl.Collator(undefined, { numeric: true }).compare);
    return names.flatMap((name, k) => {
      const rows = [...group.keys()].filter((i) => group[i] === name);
      const color = points.colours[k % points.colours.length];
      const shared = {
        name,
        legendgroup: name,
        mode: "markers",
        type: coordinates.length === 3 ? "scatter3d" : "scatter",
      };
      const trace = {
        ...shared,
        showlegend: false,
        customdata: rows,
        text: rows.map((i) => describe(i).replaceAll("&", "&amp;").replaceAll("<", "&lt;")),
        hovertemplate: "%{text}<extra></extra>",
        marker: {
          color,
          size: coordinates.length === 3 ? 4 : 7,
          opacity: 0.8,
          // Mistakes are hollow.
          symbol: rows.map((i) => (points.groups["class"][i] === points.predicted[i] ? "circle" : "circle-open")),
        },
      };
      const legend = { ...shared, hoverinfo: "skip", marker: { color, size: 8 } };
      ["x", "y", "z"].slice(0, coordinates.length).forEach((axis, d) => {
        trace[axis] = rows.map((i) => coordinates[d][i]);
        legend[axis] = [null];
      });
      return [trace, legend];
    });
  };

  const bare = { showticklabels: false, zeroline: false, title: { text: "" } };
  const layout = {
    height: 620,
    margin: { l: 10, r: 10, t: 40, b: 10 },
    font: { family: getComputedStyle(document.body).fontFamily, color: getComputedStyle(document.body).color },
    legend: { itemsizing: "constant" },
    hovermode: "closest",
    uirevision: "kept",
    xaxis: bare,
    yaxis: bare,
    scene: { xaxis: bare, yaxis: bare, zaxis: bare },
  };
  const draw = () => Plotly.react(plot, traces(), layout, { responsive: true, displaylogo: false });

  const play = (i) => {
    const clip = points.clips[points.ids[i]];
    status.textContent = describe(i) + (clip ? "" : " (its recording is not on this page)");
    player.pause();
    if (clip) {
      player.src = clip;
      player.play();
    }
  };

  draw().then(() => {
    plot.on("plotly_click", (event) => play(event.points[0].customdata));
    map.dataset.drawn = "yes";
  });
  for (const choice of map.querySelectorAll("select")) choice.addEventListener("change", draw);
}
