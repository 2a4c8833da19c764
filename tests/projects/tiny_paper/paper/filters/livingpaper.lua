--- Puts what the press computed into a page: claims, generated pages and inline numbers.
--
--   ::: {.livingpaper claim="retrieval-born"}
--   :::
--                                              the Markdown of blocks["claim:retrieval-born"]
--   `analysis/x.json#/a/value`{.value format=".3f"}
--                                              the text of values["analysis/x.json#/a/value|.3f|"]
--
-- Both renderers run this file: pandoc as a plain filter, Quarto `at: pre-ast`, so that callouts, citations and cross
-- references in the inserted Markdown resolve like the page's own. What the press does not know becomes an error in the
-- page and a line of the error log, which the renderer (or the post-render hook) turns into a failing exit code.
--
-- Where the fragments are: LIVINGPAPER_FRAGMENTS; else build/print/<profile>/fragments.json of a Quarto profile that is
-- a run; else the run that build/print/main.json names.

local READER = "markdown"
local NEXT = "run: livingpaper build"

local function read_file(path)
  local file = io.open(path, "r")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

local function decode(path, text)
  local ok, data = pcall(pandoc.json.decode, text, false)
  if not ok or type(data) ~= "table" then
    error(path .. ": expected JSON; " .. NEXT, 0)
  end
  return data
end

--- Folder of the project: Quarto says it; plain pandoc is started there.
local function project()
  return os.getenv("QUARTO_PROJECT_DIR") or "."
end

--- The run this page is printed for under Quarto: an active profile that has fragments, else the main run.
local function printed_run()
  local folder = project() .. "/build/print/"
  for profile in (os.getenv("QUARTO_PROFILE") or ""):gmatch("[%w_.-]+") do
    if not profile:find("..", 1, true) and read_file(folder .. profile .. "/fragments.json") then
      return profile
    end
  end
  local text = read_file(folder .. "main.json")
  return text and decode(folder .. "main.json", text).run or nil
end

--- Path of the fragments and of the error log beside them.
local function places()
  local given = os.getenv("LIVINGPAPER_FRAGMENTS")
  if given then
    return given, os.getenv("LIVINGPAPER_ERRORS") or (pandoc.path.directory(given) .. "/errors.txt")
  end
  local run = printed_run()
  if not run then
    error(project() .. "/build/print/main.json: not found; " .. NEXT, 0)
  end
  local folder = project() .. "/build/print/" .. run
  return folder .. "/fragments.json", folder .. "/errors.txt"
end

local cache = nil

--- The fragments: their blocks, values, the run they are of, and where errors go.
local function fragments()
  if not cache then
    local path, log = places()
    local text = read_file(path)
    if not text then
      error(path .. ": not found; " .. NEXT, 0)
    end
    local data = decode(path, text)
    cache = {
      blocks = data.blocks or {},
      values = data.values or {},
      run = data.run or pandoc.path.filename(pandoc.path.directory(path)),
      log = log,
    }
  end
  return cache
end

--- Name of the page being printed, for messages.
local function page()
  local inputs = PANDOC_STATE.input_files
  local name = os.getenv("LIVINGPAPER_PAGE")
  if not name and quarto and quarto.doc and quarto.doc.input_file then
    name = pandoc.path.filename(quarto.doc.input_file)
  end
  return name or (inputs and inputs[1]) or "page"
end

local function report(message)
  local line = page() .. ": " .. message
  io.stderr:write("livingpaper: " .. line .. "\n")
  local log = io.open(fragments().log, "a")
  if log then
    log:write(line .. "\n")
    log:close()
  end
end

local function unknown_block(key)
  local message = key .. " is not among what the press printed; see paper/claims.yml, then " .. NEXT
  report(message)
  return pandoc.Div(
    { pandoc.Para({ pandoc.Str(message) }) },
    pandoc.Attr("", { "callout-important", "livingpaper-error" }, { { "title", "Error: unknown " .. key } })
  )
end

local function unknown_value(key)
  report("value " .. key .. " has no text; see the artifact and pointer it names, then " .. NEXT)
  return pandoc.Span(
    { pandoc.Strong({ pandoc.Str("⚠ no value: " .. key) }) },
    pandoc.Attr("", { "livingpaper-error" })
  )
end

--- A marked div becomes the Markdown of its fragment. Its one attribute names it: claim="x" is "claim:x".
local function Div(div)
  if not div.classes:includes("livingpaper") then
    return nil
  end
  local key = "livingpaper"
  for name, value in pairs(div.attributes) do
    key = name .. ":" .. value
    break
  end
  local markdown = fragments().blocks[key]
  if type(markdown) ~= "string" then
    return unknown_block(key)
  end
  return pandoc.read(markdown, READER).blocks
end

--- A value code becomes the text the press resolved and formatted; never Markdown, so it needs no escaping.
local function Code(code)
  if not code.classes:includes("value") then
    return nil
  end
  local format, run = code.attributes.format or "", code.attributes.run or ""
  local known = fragments()
  local key = code.text .. "|" .. format .. "|" .. run
  local text = known.values[key]
  if text == nil and run == "" then
    text = known.values[key .. known.run]
  end
  if type(text) ~= "string" then
    return unknown_value(key)
  end
  return pandoc.Span({ pandoc.Str(text) }, pandoc.Attr("", { "livingpaper-value" }))
end

return { { Div = Div, Code = Code } }
