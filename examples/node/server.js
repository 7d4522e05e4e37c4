// A page that says which machine made it.
const express = require("express");

const app = express();
const greeting = `Hello from Node.js ${process.versions.node} on ${process.arch}\n`;
app.get("/", (request, response) => response.type("text").send(greeting));

const server = app.listen(process.env.PORT || 8000, async () => {
  // With `--once`, the page is asked for once and shown, and the server ends.
  if (process.argv.includes("--once")) {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
    process.stdout.write(await answer.text());
    server.close();
    server.closeAllConnections();
  }
});
