// Goes where people go who connect something, in a Chromium that runs no scripts, and looks at every page as they see it.
//
//     node pages.mjs http://127.0.0.1:8787 lsk_… path/to/linkspan.db /usr/bin/chromium folder/for/pictures
//
// The server lets requests go to 127.0.0.1, and people to https://app.example. Each case prints a line of JSON.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { chromium } from 'playwright-core'

const axe = createRequire(import.meta.url)('axe-core').source
const [url, key, database, executablePath, pictures] = process.argv.slice(2)

const WIDTHS = [360, 1280]
const SCHEMES = ['light', 'dark']

// A provider: who comes there agrees, refuses, or is sent back with a state that nobody gave them.
const provider = createServer((request, response) => {
  const asked = new URL(request.url, 'http://localhost')
  if (asked.pathname === '/token') {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 3600 }))
    return
  }
  if (asked.pathname !== '/agree') {
    // Browsers ask for icons, too.
    response.writeHead(404).end()
    return
  }
  const back = answer => {
    const to = new URL(asked.searchParams.get('redirect_uri'))
    to.search = new URLSearchParams({ state: asked.searchParams.get('state'), ...answer })
    return to.href.replaceAll('&', '&amp;')
  }
  const refusal = { error: 'access_denied', error_description: 'The person <said> no' }
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end(`<!doctype html><title>Provider</title><a href="${back({ code: 'good' })}">Agree</a>
    <a href="${back(refusal)}">Refuse</a> <a href="${back({ code: 'good', state: 'made-up' })}">Go astray</a>`)
})
await new Promise(resolve => provider.listen(0, resolve))
const { port } = provider.address()

async function call (method, place, attributes, type) {
  const answer = await fetch(`${url}/v1/${place}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify(type ? { data: { type, attributes } } : attributes)
  })
  assert.ok(answer.ok, `${method} ${place} was refused: ${await answer.clone().text()}`)
  return answer.json()
}

async function activation () {
  const file = await fetch(`${url}/v1/files?name=books.csv`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'text/csv' },
    body: 'id,name\n1,Ada\n'
  })
  const connector = await call('POST', 'connectors', {
    name: 'Example Books',
    provider: 'well',
    category_id: 'accounting',
    service_id: 'example-books',
    connector_type: 'csv',
    status: 'available',
    authorization_flow: 'oauth-manual',
    auth_config: {
      oauth_config: {
        // Another site than ours, as providers are: cookies have to come back from there.
        authorization_endpoint: `http://localhost:${port}/agree`,
        token_endpoint: `http://127.0.0.1:${port}/token`,
        scopes: ['invoices.read', 'contacts.read', 'https://books.example/auth/organisation.settings.readonly']
      }
    }
  }, 'connector')
  const { data } = await file.json()
  const made = await call('POST', 'workspace-connectors', {
    connector_id: connector.data.id, name: 'Accounting', config: { path: data.attributes.path }
  }, 'workspace_connector')
  return made.data.id
}

const id = await activation()
const link = (attributes = {}) =>
  call('POST', `workspace-connectors/${id}/authorize`, { client_id: 'linkspan', ...attributes })

function expire () {
  const kept = new DatabaseSync(database)
  kept.exec('PRAGMA busy_timeout = 5000; UPDATE authorizations SET expires_at = created_at')
  kept.close()
}

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync']
})

// Somebody with a browser of their own, without script.
async function somebody () {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  const complaints = []
  page.on('console', it => complaints.push(it.text()))
  page.on('pageerror', it => complaints.push(String(it)))
  return { page, complaints }
}

// Looks at what somebody sees: `name` is that of its pictures.
async function look ({ page, complaints }, name, title, ...texts) {
  assert.equal(await page.title(), `${title} – Linkspan`)
  assert.equal(await page.locator('h1').innerText(), title)
  const seen = await page.locator('main').innerText()
  for (const text of texts) assert.ok(seen.includes(text), `“${text}” is not in: ${seen}`)
  // What the browser says of pages that answer 4xx is no complaint about them.
  const about = complaints.splice(0).filter(it => !it.startsWith('Failed to load resource'))
  assert.deepEqual(about, [])
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme })
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 720 })
      await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true })
    }
  }
  // The screenshots may have said something of their own.
  complaints.length = 0
  await judge(await page.content(), name)
}

// Judges a copy of a page in a browser that runs scripts: axe is one.
async function judge (html, name) {
  assert.ok(!/<script|\son\w+=|javascript:/i.test(html), `${name} has a script`)
  const context = await browser.newContext()
  const copy = await context.newPage()
  await copy.setContent(html)
  assert.equal(await copy.locator('html').getAttribute('lang'), 'en')
  assert.equal(await copy.locator('h1').count(), 1)
  assert.equal(await copy.locator('main').count(), 1)
  for (const colorScheme of SCHEMES) {
    await copy.emulateMedia({ colorScheme })
    for (const width of WIDTHS) {
      await copy.setViewportSize({ width, height: 720 })
      const wide = await copy.evaluate(() => document.documentElement.scrollWidth)
      assert.ok(wide <= width, `${name} is ${wide} wide where there are ${width}`)
      await copy.evaluate(axe)
      const { violations } = await copy.evaluate(() => globalThis.axe.run())
      const told = violations.map(it => `${it.id}: ${it.help}: ${it.nodes.map(node => node.html).join(', ')}`)
      assert.deepEqual(told, [], `${name}, ${colorScheme}, ${width}`)
    }
  }
  await context.close()
}

// Opens the connect page of a new link, which is returned.
async function opened (person, attributes) {
  const made = await link(attributes)
  const answer = await person.page.goto(made.connect_url)
  assert.equal(answer.status(), 200)
  return made
}

// Goes on to the provider from the connect page, and comes back by way of what is called `answer` there.
async function comeBack (person, answer, status) {
  await person.page.getByRole('link', { name: 'Continue to localhost' }).click()
  const returned = person.page.waitForResponse(it => it.url().startsWith(`${url}/v1/oauth/callback`))
  await person.page.getByRole('link', { name: answer }).click()
  assert.equal((await returned).status(), status)
  await person.page.waitForLoadState()
}

const suite = {
  async 'whoever opens a link sees who asks for what' () {
    const person = await somebody()
    await opened(person)
    await look(person, 'connect', 'Connect Accounting', 'Example Books', 'Main', 'localhost', 'invoices.read')
    const answer = await person.page.reload()
    const policy = answer.headers()['content-security-policy']
    assert.match(policy, /^default-src 'none'; style-src 'sha256-/)
    assert.match(policy, /form-action 'self'$/)
    assert.equal(answer.headers()['x-frame-options'], 'DENY')
    assert.equal(answer.headers()['referrer-policy'], 'no-referrer')
    const [cookie] = await person.page.context().cookies()
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax'])
  },

  async 'the keyboard leads to the provider and to the way out' () {
    const person = await somebody()
    await opened(person)
    const reached = []
    for (const role of ['link', 'button']) {
      await person.page.keyboard.press('Tab')
      reached.push(await person.page.locator(':focus').innerText())
      assert.equal(await person.page.getByRole(role).and(person.page.locator(':focus')).count(), 1)
    }
    assert.deepEqual(reached, ['Continue to localhost', 'Cancel'])
  },

  async 'whoever agrees is told that it is connected' () {
    const person = await somebody()
    const { connect_url: again } = await opened(person)
    await comeBack(person, 'Agree', 200)
    await look(person, 'success', 'Connected', 'Accounting is connected')
    const answer = await person.page.goto(again)
    assert.equal(answer.status(), 410)
    await look(person, 'used', 'This link was used already')
  },

  async 'whoever refuses is told what the provider says' () {
    const person = await somebody()
    await opened(person)
    await comeBack(person, 'Refuse', 403)
    await look(person, 'refused', 'Not connected', 'The person <said> no')
  },

  async 'whoever cancels has a way back' () {
    const person = await somebody()
    await opened(person, { redirect_url: 'https://app.example/done', state: 'theirs' })
    await person.page.getByRole('button', { name: 'Cancel' }).click()
    await look(person, 'cancelled', 'Cancelled', 'Nothing was connected')
    const back = await person.page.getByRole('link', { name: 'Back to app.example' }).getAttribute('href')
    assert.equal(back, 'https://app.example/done?state=theirs&error=access_denied')
  },

  async 'a link that has expired says so' () {
    const person = await somebody()
    const made = await link()
    expire()
    const answer = await person.page.goto(made.connect_url)
    assert.equal(answer.status(), 410)
    await look(person, 'expired', 'This link has expired', 'ten minutes')
  },

  async 'whoever comes back too late is told so' () {
    const person = await somebody()
    await opened(person)
    expire()
    await comeBack(person, 'Agree', 410)
    await look(person, 'too-late', 'This link has expired')
  },

  async 'a link and a state that nobody was given are not known' () {
    const person = await somebody()
    const answer = await person.page.goto(`${url}/v1/oauth/connect?ticket=made-up`)
    assert.equal(answer.status(), 404)
    await look(person, 'unknown', 'This link is not known')
    await opened(person)
    await comeBack(person, 'Go astray', 404)
    await look(person, 'wrong-state', 'This link is not known')
  },

  async 'whoever comes back in another browser connects nothing' () {
    const [person, other] = [await somebody(), await somebody()]
    await opened(person)
    await person.page.getByRole('link', { name: 'Continue to localhost' }).click()
    const back = await person.page.getByRole('link', { name: 'Agree' }).getAttribute('href')
    for (const visit of [() => {}, () => opened(other)]) {
      await visit()
      const answer = await other.page.goto(back)
      assert.equal(answer.status(), 403)
    }
    await look(other, 'other-browser', 'This is another browser')
    const answer = await person.page.goto(back)
    assert.equal(answer.status(), 200, 'it works yet where it was begun')
  },

  async 'whoever is sent to the provider at once comes back in the same browser' () {
    const [person, other] = [await somebody(), await somebody()]
    const made = await link()
    await person.page.goto(made.url)
    const agree = person.page.getByRole('link', { name: 'Agree' })
    const answer = await other.page.goto(await agree.getAttribute('href'))
    assert.equal(answer.status(), 403)
    await agree.click()
    assert.equal(await person.page.locator('h1').innerText(), 'Connected')
  }
}

for (const [name, run] of Object.entries(suite)) {
  try {
    await run()
    console.log(JSON.stringify({ name, failure: null }))
  } catch (error) {
    console.log(JSON.stringify({ name, failure: error.message }))
  }
}
await browser.close()
provider.close()
provider.closeAllConnections()
