// DuckDB behind a pipe: {"sql","runs"} a line in; {"ms":[…],"rows":[…]} or {"error"} a line out.
// usage: node duck.mjs FOLDER_OF_PACKAGES DATABASE THREADS
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const [packages, database, threads] = process.argv.slice(2)
const { DuckDBInstance } = createRequire(packages + '/')('@duckdb/node-api')
const connection = await (await DuckDBInstance.create(database, { threads })).connect()

async function answer({ sql, runs }) {
  const ms = []
  let rows
  for (let i = 0; i < runs; i++) {
    const begun = performance.now()
    rows = (await connection.runAndReadAll(sql)).getRowsJson()
    ms.push(performance.now() - begun)
  }
  return { ms, rows }
}

for await (const line of createInterface({ input: process.stdin })) {
  let out
  try {
    out = await answer(JSON.parse(line))
  } catch (e) {
    out = { error: String(e) }
  }
  process.stdout.write(JSON.stringify(out) + '\n')
}
