// A small program on the types that openapi-typescript generates: node use.js <url> <image in base64>.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[] };
const [, , baseUrl = "", image = ""] = process.argv;
const client = createClient<paths>({ baseUrl });

const { data, error } = await client.POST("/predictions/{model}", {
  params: { path: { model: "digits" }, query: { top_k: 2 } },
  body: { image },
});
if (error) throw new Error(`${error.type}: ${error.message}`);
if (typeof data === "string" || !("model" in data) || "results" in data) throw new Error("not the answer for one image");

const refused = await client.POST("/v1/models/{model}:predict", {
  params: { path: { model: "nobody" } },
  body: { instances: [image] },
});
console.log(
  JSON.stringify({
    model: data.model,
    labels: data.predictions.map((prediction) => prediction.label),
    refused: refused.error?.type,
  }),
);
