// Talking to the server: JSON in and out, the CSRF token with whatever changes something, one error shape.

export class ApiError extends Error {
  constructor(status, body) {
    super(body.error ?? `the server answered ${status}`)
    this.status = status
    this.column = body.column
  }
}

let csrf = ''
export const session = {user: null}

async function call(method, path, body, signal) {
  const headers = {}
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf
  const r = await fetch(path, {method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body)})
  const text = await r.text()
  if (!r.ok) {
    let said = {}
    try { said = JSON.parse(text) } catch { /* not ours: a proxy's page */ }
    throw new ApiError(r.status, said)
  }
  return {text, headers: r.headers}
}

const parse = r => r.text ? JSON.parse(r.text) : null
export const get = async (path, signal) => parse(await call('GET', path, undefined, signal))
export const post = async (path, body) => parse(await call('POST', path, body))
export const drop = async path => parse(await call('DELETE', path))
export const patch = async (path, body) => parse(await call('PATCH', path, body))

/** Rows of a query with the cursor of the next page. */
export async function rows(params, signal) {
  const r = await call('GET', '/v1/query?' + new URLSearchParams({...params, format: 'ndjson'}), undefined, signal)
  return {rows: r.text.split('\n').filter(Boolean).map(l => JSON.parse(l)), next: r.headers.get('X-Logd-Next'),
    partial: r.headers.has('X-Logd-Partial')}
}

function enter(me) {
  session.user = me.email
  session.rights = me.rights
  csrf = me.csrf ?? ''
}

export async function who() { enter(await get('/v1/me')) }
export async function signIn(email, password) { enter(await post('/login', {email, password})) }
export async function first(token, email, password) { enter(await post('/first', {token, email, password})) }
export async function signOut() {
  await post('/logout', {})
  session.user = null
}
