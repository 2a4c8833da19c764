--- Reads what a notebook cell put out, each piece on its own, so that nothing in it can end the block around it.
--
-- The notebook arrives with every Markdown or HTML output as a code block; here it becomes part of the page.

local function markdown(block)
  return pandoc.read(block.text, "markdown").blocks
end

--- A table of HTML becomes one of the document, so that site and PDF print the same; anything else in it is dropped.
local function html_table(block)
  local tables = pandoc.Blocks({})
  pandoc.Pandoc(pandoc.read(block.text, "html").blocks):walk({
    Table = function(found)
      found.attr = pandoc.Attr("", { "from-html" })
      tables:insert(found)
    end,
  })
  return #tables > 0 and tables or nil
end

local function CodeBlock(block)
  if block.classes:includes("cell-markdown") then
    return pandoc.Div(markdown(block), pandoc.Attr("", { "cell-output", "cell-output-markdown" }))
  elseif block.classes:includes("float-caption") then
    return pandoc.Div(markdown(block), pandoc.Attr("", { "float-caption" }))
  elseif block.classes:includes("html-table") then
    local tables = html_table(block)
    return tables and pandoc.Div(tables, pandoc.Attr("", { "cell-output", "cell-output-table" })) or nil
  end
  return nil
end

return { { CodeBlock = CodeBlock } }
