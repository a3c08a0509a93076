// A page with stock @sentry/browser, bundled by esbuild.
import * as Sentry from '@sentry/browser'
Sentry.init({dsn: window.DSN, release: 'shop@1.4', environment: 'test'})
function total(cart) { return cart.items.length * Number(cart.price.amount) }
function checkout(n) { total({items: [n]}) }
for (let i = 0; i < 3; i++) setTimeout(() => { checkout(i) }, 10 + i * 700)
setTimeout(() => { Promise.reject(new Error('nobody took order ' + location.pathname)) }, 20)
