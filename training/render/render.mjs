// Lists the concepts of emojibase-data and puts each set's picture of them into one folder a style. It knows packages and
// files; what becomes of the pictures is build_pack.py's.
//   node render.mjs OUT    writes OUT/concepts.json and OUT/{3d,flat,cartoon,sticker}/HEX.{webp,png}
import fs from "node:fs";
import path from "node:path";
import { Resvg } from "@resvg/resvg-js";

const WIDTH = 224; // pixels, twice the side of the pack's pictures
const PACKAGES = path.join(import.meta.dirname, "node_modules");
const VECTOR_SETS = { flat: "fluent-emoji-flat", cartoon: "noto", sticker: "twemoji" };
const GROUP = { component: 2, flags: 9 };

// Skin tones, letters, clock faces and the like have words nobody would ask a picture by; of the flags, only these have.
const FLAGS = /^((chequered|checkered|triangular|black|white|rainbow|pirate) flag|crossed flags)$/;
const UNASKED = new RegExp(
  "(button|regional indicator|family:|facing right|: (woman|man), (woman|man)|keycap|japanese|input |trigram|copyright|" +
    "registered|trade mark|clock$|o.clock|-thirty|skin tone|: boy|: girl)",
  "i",
);
const CLOCKS = /^(alarm|mantelpiece) clock$/;

// On these two resvg 2.6.2 does not throw but aborts the process.
const ABORTS = new Set(["noto:package", "noto:rainbow-flag"]);

const read = (...parts) => JSON.parse(fs.readFileSync(path.join(PACKAGES, ...parts), "utf8"));
const bare = (hex) => hex.toLowerCase().split("-").filter((code) => code !== "fe0f").join("-"); // no variation selector

function wanted({ label, group }) {
  if (group === undefined || group === GROUP.component) return false;
  if (group === GROUP.flags && !FLAGS.test(label)) return false;
  return CLOCKS.test(label) || !UNASKED.test(label);
}

function concepts() {
  const { groups, subgroups } = read("emojibase-data", "en", "messages.json");
  const named = (list) => Object.fromEntries(list.map(({ order, message }) => [order, message]));
  const [group, subgroup] = [named(groups), named(subgroups)];
  return read("emojibase-data", "en", "data.json")
    .filter(wanted)
    .map((entry) => ({
      hex: entry.hexcode.toLowerCase(),
      label: entry.label,
      tags: entry.tags ?? [],
      group: group[entry.group],
      subgroup: subgroup[entry.subgroup],
    }));
}

function* vectors(set) {
  const { icons, aliases = {}, width = 16, height = 16 } = read("@iconify-json", set, "icons.json");
  for (const [hex, name] of Object.entries(read("@iconify-json", set, "chars.json"))) {
    const icon = icons[name] ?? icons[aliases[name]?.parent];
    if (!icon || ABORTS.has(`${set}:${name}`)) continue;
    const [w, h] = [icon.width ?? width, icon.height ?? height];
    const head = `viewBox="${icon.left ?? 0} ${icon.top ?? 0} ${w} ${h}" width="${w}" height="${h}"`;
    const spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
    yield [bare(hex), `<svg ${spaces} ${head}>${icon.body}</svg>`];
  }
}

function renderSet(list, set, folder) {
  const svg = new Map(vectors(set));
  const found = list.filter(({ hex }) => svg.has(bare(hex)));
  for (const { hex } of found) {
    const picture = new Resvg(svg.get(bare(hex)), { fitTo: { mode: "width", value: WIDTH } }).render();
    fs.writeFileSync(path.join(folder, `${hex}.png`), picture.asPng());
  }
  return found.length;
}

function copyRendered(list, folder) {
  const assets = path.join(PACKAGES, "@lobehub", "fluent-emoji-3d", "assets");
  const files = new Map(fs.readdirSync(assets).map((file) => [bare(path.parse(file).name), file]));
  const found = list.filter(({ hex }) => files.has(bare(hex)));
  for (const { hex } of found) {
    fs.copyFileSync(path.join(assets, files.get(bare(hex))), path.join(folder, `${hex}.webp`));
  }
  return found.length;
}

const out = process.argv[2];
if (!out) throw new Error("say where the pictures go: node render.mjs OUT");
const list = concepts();
for (const style of ["3d", ...Object.keys(VECTOR_SETS)]) {
  const folder = path.join(out, style);
  fs.mkdirSync(folder, { recursive: true });
  const found = style === "3d" ? copyRendered(list, folder) : renderSet(list, VECTOR_SETS[style], folder);
  console.log(`${style}: ${found} of ${list.length} concepts`);
}
fs.writeFileSync(path.join(out, "concepts.json"), JSON.stringify(list));
