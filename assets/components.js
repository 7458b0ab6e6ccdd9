// The Dash components GraphView and Pane: each owns one element and hands it to its module.
(function () {
  const main = new URL("main.js", document.currentScript.src).href;

  function useModule(mount, deps) {
    const React = window.React;
    const holder = React.useRef(null);
    React.useEffect(() => {
      let drop = null, gone = false;
      import(main).then((module) => { if (!gone) drop = mount(module, holder.current); });
      return () => { gone = true; if (drop) drop(); };
    }, deps);
    return holder;
  }

  function GraphView(props) {
    const holder = useModule((module, element) => module.mountGraph(element, (selected) => props.setProps({ selected })), []);
    return window.React.createElement("div", { id: props.id, ref: holder, className: "module" });
  }

  function Pane(props) {
    const holder = useModule((module, element) => module.mountPane(props.kind, element), [props.kind]);
    return window.React.createElement("div", { id: props.id, ref: holder, className: "module" });
  }

  window.glowviz_ui = { GraphView, Pane };
})();
